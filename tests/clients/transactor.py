"""A process that makes transactions on a branch, one after the other: what an ingestion job does."""

import time
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier

import lakefs

START_SECONDS = 120


@dataclass
class Report:
    """What one process did."""

    number: int
    files: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def transact(number: int, start: Barrier, login: dict[str, str], repo: str, rounds: int, files: int) -> Report:
    """Makes `rounds` transactions of `files` files each on main, once all processes have come to `start`."""
    # A client of its own: connections do not survive a fork.
    branch = lakefs.Repository(repo, lakefs.Client(**login)).branch("main")
    report = Report(number)
    start.wait(START_SECONDS)
    for turn in range(rounds):
        written = {f"p{number:02}/t{turn}/{n}": f"process {number}, turn {turn}, file {n}" for n in range(files)}
        began = time.monotonic()
        try:
            with branch.transact(
                commit_message=f"p{number} t{turn}", commit_metadata={"process": str(number), "turn": str(turn)}
            ) as tx:
                for path, data in written.items():
                    tx.object(path).upload(data)
        # Whatever it is, the test tells of it.
        except Exception as error:
            report.failures.append(f"process {number}, turn {turn}: {type(error).__name__}: {error}")
        else:
            report.files |= written
            report.seconds.append(time.monotonic() - began)
    return report
