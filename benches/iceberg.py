"""PyIceberg's writers on one table, by three catalogs side by side:

    scripts/test-iceberg --bench [--writers 32] [--seconds 12] [--rounds 1]

Each writer is a process that loads the table and appends one row, with PyIceberg's own retries, until the time is over.
The catalogs: SqlCatalog on SQLite; this server as any optimistic REST catalog is; with its door; with appends that
commute. They take turns in one run, on tables of their own. Prints one JSON object per line: commits a second, commits
that failed for good, latencies, and the ratios to the first two.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "iceberg"))

from pyiceberg.catalog.sql import SqlCatalog
from servers import Deployment
from support import COMMUTE, SCHEMA, Warehouse, ids, rows

# A writer that is in the middle of a commit at the end is waited for.
LINGER_SECONDS = 90
MODES = {
    "sql": ({}, {}),
    "optimistic": ({"header.Onward-Commit-Mode": "optimistic"}, {}),
    "door": ({}, {}),
    "rebase": ({}, COMMUTE),
}


def catalog(place, settings: dict):
    """A writer's own catalog: of a warehouse, or of a folder with a database."""
    if isinstance(place, Warehouse):
        return place.pyiceberg(**settings)
    uri = f"sqlite:///{place}/catalog.db"
    # Whoever finds no database makes it; of 32 who look at once some would find it locked.
    is_new = str(not (place / "catalog.db").exists()).lower()
    return SqlCatalog("sql", uri=uri, warehouse=place.as_uri(), init_catalog_tables=is_new)


def write(place, settings, writer, begin, seconds, results) -> None:
    mine = catalog(place, settings)
    mine.load_table("db.t")
    begin.wait()
    until = time.monotonic() + seconds
    landed, failed = [], 0
    while (started := time.monotonic()) < until:
        try:
            mine.load_table("db.t").append(rows(writer * 1_000_000 + len(landed)))
            landed.append(time.monotonic() - started)
        except Exception:
            failed += 1
    results.put((landed, failed, time.monotonic() - until + seconds))


def measure(mode: str, place, writers: int, seconds: float) -> dict:
    settings, properties = MODES[mode]
    context = multiprocessing.get_context("fork")
    results, begin = context.Queue(), context.Barrier(writers)
    maker = context.Process(target=make, args=(place, settings, properties))
    maker.start()
    maker.join()
    running = [
        context.Process(target=write, args=(place, settings, n, begin, seconds, results)) for n in range(writers)
    ]
    for process in running:
        process.start()
    told = [results.get(timeout=seconds + LINGER_SECONDS) for _ in running]
    for process in running:
        process.join()
    latencies = sorted(latency for landed, _, _ in told for latency in landed)
    failed = sum(failed for _, failed, _ in told)
    length = max(length for _, _, length in told)
    at = lambda part: round(latencies[min(len(latencies) - 1, int(len(latencies) * part))], 2) if latencies else None
    return {
        "catalog": mode,
        "writers": writers,
        "commits_per_second": round(len(latencies) / length, 2),
        "commits": len(latencies),
        "failed": failed,
        "p50_s": at(0.5),
        "p99_s": at(0.99),
    }


def make(place, settings: dict, properties: dict) -> None:
    mine = catalog(place, settings)
    mine.create_namespace("db")
    # With a snapshot: the first ones of an empty table are stale appends to nothing, which nobody rebases.
    mine.create_table("db.t", SCHEMA, properties=properties).append(rows(-1))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--writers", type=int, default=32)
    asked.add_argument("--seconds", type=float, default=12)
    asked.add_argument("--rounds", type=int, default=1)
    asked.add_argument("--modes", default=",".join(MODES))
    asked = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder) / "deployment")
        try:
            for round_of in range(asked.rounds):
                found = {}
                for mode in asked.modes.split(","):
                    if mode == "sql":
                        place = Path(folder) / f"sql-{round_of}"
                        place.mkdir()
                    else:
                        name = deployment.repository(f"{mode}-{round_of}")
                        place = Warehouse(deployment.sidecar.uri, name, deployment.credential)
                    found[mode] = measure(mode, place, asked.writers, asked.seconds)
                    print(json.dumps(found[mode]), flush=True)
                    audit(place, found[mode]["commits"])
                ratios = {
                    f"{mode}/{base}": round(
                        found[mode]["commits_per_second"] / max(found[base]["commits_per_second"], 0.01), 2
                    )
                    for mode in ("door", "rebase")
                    for base in ("sql", "optimistic")
                    if mode in found and base in found
                }
                print(json.dumps({"ratios": ratios}), flush=True)
        finally:
            deployment.stop()


def audit(place, commits: int) -> None:
    """Every commit that was acknowledged is there. One that failed for its client may be, too."""
    context = multiprocessing.get_context("fork")
    check = context.Process(target=lambda: sys.exit(0 if len(ids(catalog(place, {}).load_table("db.t"))) >= commits else 1))
    check.start()
    check.join()
    assert check.exitcode == 0, "commits that were acknowledged are missing"


if __name__ == "__main__":
    main()
