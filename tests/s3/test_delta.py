"""delta-rs, unmodified: tables on a branch, and many writers of one table.

delta-rs creates each version of a table's log on the condition that it is not there. Where each PUT of the log is a
commit, the branch's log decides who was first.
"""

import ctypes
import json
import multiprocessing
import os
import re
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import deltalake
import pyarrow
import pytest

WRITERS = 32
WRITER_SECONDS = 240


def options(lake) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": lake.key, "AWS_SECRET_ACCESS_KEY": lake.secret, "AWS_ENDPOINT_URL": lake.endpoint,
        "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
    }


def rows(*ids: int) -> pyarrow.Table:
    return pyarrow.table({"id": pyarrow.array(ids, pyarrow.int64())})


def ids(table: deltalake.DeltaTable) -> list[int]:
    return sorted(table.to_pyarrow_table()["id"].to_pylist())


@pytest.mark.parametrize("write", ["stage", "commit"])
def test_a_table_is_written_read_and_travels_in_time(lake, write):
    lake.policy("tables/", write)
    url, login = lake.url("tables/orders"), options(lake)
    deltalake.write_deltalake(url, rows(1, 2), storage_options=login)
    deltalake.write_deltalake(url, rows(3), mode="append", storage_options=login)
    if write == "stage":
        lake.commit()
    table = deltalake.DeltaTable(url, storage_options=login)
    assert table.version() == 1 and ids(table) == [1, 2, 3]
    table.delete("id = 2")
    table.optimize.compact()
    assert ids(deltalake.DeltaTable(url, storage_options=login)) == [1, 3]
    assert ids(deltalake.DeltaTable(url, version=1, storage_options=login)) == [1, 2, 3]
    # What a commit of the branch has is a table by itself.
    lake.tag("v1")
    tagged = deltalake.DeltaTable(lake.url("tables/orders", "v1"), storage_options=login)
    assert ids(tagged) == ([1, 2, 3] if write == "stage" else [1, 3])
    table.create_checkpoint()
    deltalake.write_deltalake(url, rows(4), mode="overwrite", storage_options=login)
    assert ids(deltalake.DeltaTable(url, storage_options=login)) == [4]


def append(url: str, login: dict[str, str], writer: int, each: int) -> None:
    """Appends rows one by one, and says which were acknowledged."""
    for number in range(each):
        id = writer * each + number
        for _ in range(100):
            try:
                deltalake.write_deltalake(url, rows(id), mode="append", storage_options=login)
                break
            except deltalake.exceptions.CommitFailedError:
                # Its own retries are used up: nothing was committed.
                continue
        # In one write, so that lines of several processes stay whole.
        os.write(1, f"{id}\n".encode())


def run(url: str, login: dict[str, str], writers: int, each: int) -> tuple[list[int], float]:
    """What the writers were told is there, and how long it took them."""
    command = [sys.executable, __file__, url, json.dumps(login), str(writers), str(each)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WRITER_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *acknowledged, seconds = done.stdout.split()
    return [int(id) for id in acknowledged], float(seconds)


def requests(lake) -> Counter:
    """What the gateway was asked for so far, by operation and status, as it counts by itself."""
    with urllib.request.urlopen(f"{lake.deployment.sidecar.url}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r'^onward_http_requests_total\{method="\w+",route="(\w+)",status="(\d+)"\} (\d+)', text, re.MULTILINE)
    return Counter({(route, int(status)): int(count) for route, status, count in found})


class Tries:
    """Counts how often somebody tries to create a version of a table on local files: each begins a file of its own."""

    IN_CREATE = 0x100
    HEAD = struct.Struct("iIII")

    def __init__(self, log: Path):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._watch >= 0, "there is no inotify"
        assert self._libc.inotify_add_watch(self._watch, str(log).encode(), self.IN_CREATE) >= 0

    def count(self) -> int:
        tries = 0
        while True:
            try:
                events = os.read(self._watch, 1 << 16)
            except BlockingIOError:
                return tries
            while events:
                _, kind, _, length = self.HEAD.unpack_from(events)
                name = events[self.HEAD.size : self.HEAD.size + length].rstrip(b"\0").decode()
                assert not kind & 0x4000, "more happened than is remembered"
                tries += bool(re.fullmatch(r"\d{20}\.json#\d+", name))
                events = events[self.HEAD.size + length :]


def test_of_many_writers_each_version_is_there_once_and_none_is_overwritten(lake, tmp_path):
    lake.policy("t/")
    url, login = lake.url("t"), options(lake)
    deltalake.write_deltalake(url, rows(), mode="append", storage_options=login)
    before, asked = len(lake.log()), requests(lake)
    acknowledged, seconds = run(url, login, WRITERS, 2)
    asked = requests(lake) - asked
    table = deltalake.DeltaTable(url, storage_options=login)
    assert ids(table) == sorted(acknowledged) == list(range(2 * WRITERS))
    # Version by version: each of them was written by one commit of the branch, which created it.
    versions = [key for key in lake.keys("main/t/_delta_log/") if key.endswith(".json")]
    assert len(versions) == len(acknowledged) + 1 == table.version() + 1
    touched = Counter()
    s3 = lake.boto3()
    for key in versions:
        body = s3.get_object(Bucket=lake.name, Key=key)["Body"].read().decode()
        touched[key] += sum(1 for line in body.splitlines() if "commitInfo" in json.loads(line))
    assert set(touched.values()) == {1}
    made = len(lake.log()) - before
    assert made >= 2 * len(acknowledged), "a file and its version for each"
    # Each append is a file and a version: what was refused was refused because the version was there.
    statuses = {status for operation, status in asked if operation == "PutObject"}
    assert statuses <= {200, 412}, asked
    # One whose own retries are used up begins again, with another file.
    again = asked["PutObject", 200] - 2 * len(acknowledged)
    assert again >= 0
    refused = asked["PutObject", 412]
    assert refused <= (WRITERS - 1) * len(acknowledged), "a writer loses each version once at most"
    there = tmp_path / "local"
    deltalake.write_deltalake(str(there), rows(), mode="append")
    tries = Tries(there / "_delta_log")
    local, local_seconds = run(str(there), {}, WRITERS, 2)
    assert len(local) == len(acknowledged)
    local_refused = tries.count() - len(local)
    assert local_refused >= 0
    print(
        f"\ndelta-rs, {WRITERS} processes: {len(acknowledged) / seconds:.1f} appends/s through the gateway, "
        f"{len(local) / local_seconds:.1f}/s on local files\n"
        f"refused for each version: {refused / len(acknowledged):.1f} through the gateway (and {again} began again), "
        f"{local_refused / len(local):.1f} on local files\n"
        f"requests for each append: {asked.total() / len(acknowledged):.1f}: "
        + ", ".join(f"{operation} {status} {count / len(acknowledged):.1f}" for (operation, status), count in sorted(asked.items()))
    )


if __name__ == "__main__":
    at, keys, count, times = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    # What takes long is imported once; nothing of delta-rs has run before they part.
    apart = multiprocessing.get_context("fork")
    processes = [apart.Process(target=append, args=(at, keys, number, times)) for number in range(count)]
    begun = time.monotonic()
    [process.start() for process in processes]
    [process.join() for process in processes]
    assert all(process.exitcode == 0 for process in processes), [process.exitcode for process in processes]
    print(time.monotonic() - begun)
