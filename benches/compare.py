"""Writers of one table, side by side in systems that version data: scripts/compare runs it.

    scripts/compare [--writers 1,8,32] [--seconds 10] [--systems delta-rs,icechunk] [--json]
    scripts/compare --table FILE…          the table of runs that were kept with --json

Each writer is a process that writes ten rows and commits them, over and over, with the retries that its client makes
by itself, after one that is not counted. The systems take turns; all lie in folders of one disk. A commit counts when the client was told that it is
there, and a failure is an exception. Whoever is in the middle of a commit at the end is waited for, and afterwards every
commit that was acknowledged must be there.

    delta-rs           write_deltalake(mode="append"), on local files
    PyIceberg          table.append, SqlCatalog on SQLite, local files
    Icechunk           a chunk of an array for each writer, commit(rebase_with=ConflictDetector()), on an S3 server of this
                       machine (SeaweedFS), because on local files it is not safe for writers at the same time
    Onward, HTTP       the rows as a Parquet file, committed through a sidecar by one request of Python's http.client
    Onward, PyIceberg  table.append, the sidecar as a REST catalog, appends said to commute
"""

import argparse
import base64
import hashlib
import http.client
import json
import multiprocessing
import os
import platform
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow
from deltalake import DeltaTable, write_deltalake
from pyarrow import parquet
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog

ROWS = 10
# A writer that is in the middle of a commit at the end is waited for.
LINGER_SECONDS = 150
# Chunks of a writer's array in Icechunk; more commits begin again at the first.
CHUNKS = 10_000
KEY, SECRET = "COMPARISON", "a secret of this run alone"


def rows(writer: int, turn: int) -> pyarrow.Table:
    return pyarrow.table({"writer": [writer] * ROWS, "turn": [turn] * ROWS, "row": list(range(ROWS))})


class Delta:
    name, package = "delta-rs", "deltalake"

    def __init__(self, folder: Path):
        self.at = str(folder / "table")

    def make(self) -> None:
        write_deltalake(self.at, rows(0, 0))

    def writer(self, number: int):
        return lambda turn: write_deltalake(self.at, rows(number, turn), mode="append")

    def commits(self) -> int:
        return DeltaTable(self.at).version()


class Iceberg:
    """PyIceberg, whose catalog is its own."""

    name, package = "PyIceberg", "pyiceberg"
    properties: dict = {}

    def __init__(self, folder: Path):
        self.at = folder

    def catalog(self):
        database = self.at / "catalog.db"
        # Of many who look at once and find no tables some would find SQLite locked.
        is_new = str(not database.exists()).lower()
        return SqlCatalog("sql", uri=f"sqlite:///{database}", warehouse=self.at.as_uri(), init_catalog_tables=is_new)

    def make(self) -> None:
        catalog = self.catalog()
        catalog.create_namespace("db")
        catalog.create_table("db.t", rows(0, 0).schema, properties=self.properties).append(rows(0, 0))

    def writer(self, number: int):
        catalog = self.catalog()
        return lambda turn: catalog.load_table("db.t").append(rows(number, turn))

    def commits(self) -> int:
        return len(self.catalog().load_table("db.t").history()) - 1


class Icechunk:
    name, package = "Icechunk", "icechunk"

    def __init__(self, folder: Path, store: "Store"):
        self.port = store.port

    def repository(self, begin: str):
        # Imported where it is used: what it starts when it is imported would not survive a fork.
        import icechunk

        storage = icechunk.s3_storage(
            bucket=Store.bucket,
            prefix="repository",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            allow_http=True,
            force_path_style=True,
            region="us-east-1",
            access_key_id="any",
            secret_access_key="any",
        )
        return getattr(icechunk.Repository, begin)(storage)

    def make(self) -> None:
        self.repository("create")

    def prepare(self, writers: int) -> None:
        import zarr

        session = self.repository("open").writable_session("main")
        for number in range(writers):
            zarr.create_array(session.store, name=f"w{number}", shape=(CHUNKS, ROWS), chunks=(1, ROWS), dtype="i8")
        session.commit("an array for each writer")

    def writer(self, number: int):
        import icechunk
        import zarr

        repository = self.repository("open")

        def write(turn: int) -> None:
            session = repository.writable_session("main")
            zarr.open_array(session.store, path=f"w{number}", mode="r+")[turn % CHUNKS] = turn
            session.commit("rows", rebase_with=icechunk.ConflictDetector())

        return write

    def commits(self) -> int:
        # Without the repository's first, and that of the arrays.
        return sum(1 for _ in self.repository("open").ancestry(branch="main")) - 2


class Store:
    """An S3 server in a folder of its own, with a bucket."""

    bucket = "lake"

    def __init__(self, folder: Path):
        def free() -> str:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                return str(listener.getsockname()[1])

        self.port = free()
        weed = shutil.which("weed", path=str(Path(sys.executable).parent))
        listen = ["-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-s3", "-s3.port", self.port, "-s3.port.grpc", free()]
        for part in ("master", "volume", "filer"):
            listen += [f"-{part}.port", free(), f"-{part}.port.grpc", free()]
        few = ["-s3.port.iceberg", "0", "-master.volumeSizeLimitMB", "64", "-volume.max", "50"]
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [weed, "server", "-dir", str(folder), *listen, *few], stdout=self.log, stderr=self.log
        )
        for _ in range(300):
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{self.bucket}", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
        self.stop()
        sys.exit(f"compare: the S3 server does not start: {(folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Sidecar:
    """An instance of Onward in a folder of its own."""

    def __init__(self, program: str, folder: Path):
        keys = {"ONWARD_ACCESS_KEY_ID": KEY, "ONWARD_SECRET_ACCESS_KEY": SECRET}
        self.folder = folder
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [program, "up", "--listen", "127.0.0.1:0", "--data-dir", folder / "data", "--json"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=os.environ | keys,
            text=True,
        )
        said = self.process.stdout.readline()
        if not said:
            sys.exit(f"compare: '{program} up' did not start: {(folder / 'log').read_text()}")
        self.url = json.loads(said)["listen"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Caller:
    """One connection to a sidecar."""

    def __init__(self, url: str):
        where = urlsplit(url)
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=LINGER_SECONDS)
        login = f"{KEY}:{SECRET}".encode()
        self.headers = {"Authorization": "Basic " + base64.b64encode(login).decode(), "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: dict | None = None) -> dict:
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {text[:200]!r}")
        return json.loads(text) if text else {}


class Onward:
    name, package = "Onward, HTTP", None
    repository = "changes"

    def __init__(self, folder: Path, sidecar: Sidecar):
        self.url, self.files = sidecar.url, folder

    def make(self) -> None:
        body = {"name": self.repository, "storage_namespace": f"local://{self.repository}"}
        Caller(self.url)("POST", "/api/v1/repositories", body)

    def writer(self, number: int):
        call = Caller(self.url)
        folder = self.files / f"writer={number}"
        folder.mkdir()
        to = f"/onward/v1/repositories/{self.repository}/branches/main/changes"

        def write(turn: int) -> None:
            file = folder / f"{turn}.parquet"
            parquet.write_table(rows(number, turn), file)
            held = file.read_bytes()
            put = {"path": f"writer={number}/{turn}.parquet", "address": file.as_uri(), "size": len(held)}
            put["checksum"] = hashlib.md5(held).hexdigest()
            call("POST", to, {"message": "rows", "changes": [{"put": put}]})

        return write

    def commits(self) -> int:
        call, after, found = Caller(self.url), "", 0
        while True:
            page = call("GET", f"/api/v1/repositories/{self.repository}/refs/main/commits?amount=1000&after={after}")
            found += len(page["results"])
            if not page["pagination"]["has_more"]:
                # Without the repository's first.
                return found - 1
            after = page["pagination"]["next_offset"]


class OnwardIceberg(Iceberg):
    name, package = "Onward, PyIceberg", None
    properties = {"onward.appends": "commute"}

    def __init__(self, folder: Path, sidecar: Sidecar):
        self.url = sidecar.url

    def catalog(self):
        credential = f"{KEY}:{SECRET}"
        return load_catalog("onward", type="rest", uri=f"{self.url}/iceberg", warehouse="tables", credential=credential)

    def make(self) -> None:
        Caller(self.url)("POST", "/api/v1/repositories", {"name": "tables", "storage_namespace": "local://tables"})
        super().make()


OTHERS = [Delta, Iceberg, Icechunk]
OURS = [Onward, OnwardIceberg]
NAMES = [system.name for system in OTHERS + OURS]

# What has a runtime of its own in a library does not survive a fork: only children use them.
PROCESSES = multiprocessing.get_context("fork")


def apart(work, *arguments):
    """What a function says, called in a process of its own."""
    told = PROCESSES.Queue()
    child = PROCESSES.Process(target=lambda: told.put(work(*arguments)), daemon=True)
    child.start()
    while True:
        try:
            answer = told.get(timeout=1)
            break
        except queue.Empty:
            if not child.is_alive():
                sys.exit("compare: a process died, see above")
    child.join()
    return answer


def write(system, number, begin, seconds, results) -> None:
    waits, failures, turn = [], {}, 0
    commit, before = None, 0
    # The first commit of a process loads half a library, which is not what is compared.
    try:
        commit = system.writer(number)
        commit(0)
        before = 1
    except Exception as error:
        if commit is None:
            failures[type(error).__name__] = 1
    begin.wait(timeout=LINGER_SECONDS)
    until = time.monotonic() + seconds
    # Who has no client at all has failed once.
    while commit and (started := time.monotonic()) < until:
        turn += 1
        try:
            commit(turn)
            waits.append(time.monotonic() - started)
        except Exception as error:
            kind = type(error).__name__
            failures[kind] = failures.get(kind, 0) + 1
    results.put((waits, failures, max(seconds, time.monotonic() - until + seconds), before))


def gather(results, running: list, seconds: float) -> list:
    """What all writers say. One that died says nothing, and nobody waits for it."""
    # The first commits, the time that is measured, and the last commits.
    told, until = [], time.monotonic() + seconds + 2 * LINGER_SECONDS
    while len(told) < len(running):
        try:
            told.append(results.get(timeout=1))
        except queue.Empty:
            if any(process.exitcode for process in running):
                sys.exit("compare: a writer died, see above")
            if time.monotonic() > until:
                sys.exit("compare: a writer does not come to an end")
    for process in running:
        process.join()
    return told


def measure(system, writers: int, seconds: float) -> dict:
    apart(system.make)
    if hasattr(system, "prepare"):
        apart(system.prepare, writers)
    results, begin = PROCESSES.Queue(), PROCESSES.Barrier(writers)
    running = [
        PROCESSES.Process(target=write, args=(system, number, begin, seconds, results), daemon=True)
        for number in range(writers)
    ]
    for process in running:
        process.start()
    told = gather(results, running, seconds)
    waits = sorted(wait for mine, *_ in told for wait in mine)
    failures: dict[str, int] = {}
    for _, kinds, *_ in told:
        for kind, count in kinds.items():
            failures[kind] = failures.get(kind, 0) + count
    length = max(length for _, _, length, _ in told)
    acknowledged = len(waits) + sum(before for *_, before in told)
    there = apart(system.commits)
    at = lambda part: round(waits[min(len(waits) - 1, int(len(waits) * part))], 4) if waits else None
    return {
        "system": system.name,
        "writers": writers,
        "commits": len(waits),
        "seconds": round(length, 1),
        "commits_per_second": round(len(waits) / length, 1),
        "p50_s": at(0.5),
        "p99_s": at(0.99),
        "failed": sum(failures.values()),
        "failures": failures,
        "missing": max(0, acknowledged - there),
    }


def machine(program: str) -> dict:
    cpu = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    onward = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return {
        "machine": {
            "cores": os.cpu_count(),
            "cpu": cpu,
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "versions": {"onward": onward} | {system.package: version(system.package) for system in OTHERS},
            "day": time.strftime("%Y-%m-%d"),
        }
    }


def length(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def speed(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"


def table(files: list[str]) -> None:
    """What was kept as JSON, as the table of the README."""
    kept = [json.loads(line) for file in files for line in open(file)]
    points = {(point["system"], point["writers"]): point for point in kept if "system" in point}
    counts = sorted({writers for _, writers in points})
    plural = lambda count: "1 writer" if count == 1 else f"{count} writers"
    print("| |" + "".join(f" {plural(count)} |" for count in counts) + f" p99 at {counts[-1]} | failed at {counts[-1]} |")
    print("|---|" + "---|" * (len(counts) + 2))
    for name in NAMES:
        mine = [points.get((name, count)) for count in counts]
        if not any(mine):
            continue
        speeds = "".join(f" {speed(point['commits_per_second'])} |" if point else " – |" for point in mine)
        last = mine[-1]
        p99 = length(last["p99_s"]) if last else "–"
        failed = f"{last['failed']} of {last['commits'] + last['failed']}" if last else "–"
        print(f"| {name} |{speeds} {p99} | {failed} |")
        missing = sum(point["missing"] for point in mine if point)
        if missing:
            print(f"compare: {missing} acknowledged commits of {name} are missing", file=sys.stderr)
    for line in kept:
        if "machine" in line:
            print(json.dumps(line["machine"]), file=sys.stderr)
            break


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--writers", default="1,8,32")
    asked.add_argument("--seconds", type=float, default=10)
    asked.add_argument("--systems", default=",".join(name.replace(", ", "-") for name in NAMES))
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--table", nargs="+", metavar="FILE")
    asked = asked.parse_args()
    if asked.table:
        return table(asked.table)
    program = os.environ["ONWARD_BIN"]
    wanted = asked.systems.split(",")
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w") as kept:

        def keep(found: dict) -> None:
            print(json.dumps(found), file=kept, flush=True)
            if asked.json:
                print(json.dumps(found), flush=True)

        keep(machine(program))
        for writers in map(int, asked.writers.split(",")):
            for system in OTHERS + OURS:
                if system.name.replace(", ", "-") not in wanted:
                    continue
                place = Path(folder) / f"{system.__name__}-{writers}"
                place.mkdir()
                server = Sidecar(program, place) if system in OURS else None
                if system is Icechunk:
                    server = Store(place)
                try:
                    keep(measure(system(place, server) if server else system(place), writers, asked.seconds))
                finally:
                    if server:
                        server.stop()
        if not asked.json:
            table([kept.name])


if __name__ == "__main__":
    main()
