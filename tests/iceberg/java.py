"""Iceberg's Java client, by the programs in `java/`."""

import os
import subprocess
from dataclasses import dataclass

from support import File, Warehouse

# A JVM that is given no more runs two suites at once on a small machine.
JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", os.environ.get("ICEBERG_CLASSPATH", "")]
COMMAND_SECONDS = 280


@dataclass(frozen=True)
class Told:
    """What a program's writers were told of each file, and what they deleted."""

    ok: list[str]
    failed: dict[str, str]
    deleted: list[str]

    def ids(self, files: list[File]) -> list[int]:
        """The rows that were acknowledged."""
        ok = set(self.ok)
        return [id for file in files if file.path in ok for id in file.ids]


def environment(warehouse: Warehouse) -> dict[str, str]:
    return os.environ | {
        "ICEBERG_URI": warehouse.uri,
        "ICEBERG_WAREHOUSE": warehouse.name,
        "ICEBERG_CREDENTIAL": warehouse.credential,
    }


def start(warehouse: Warehouse, table: str, threads: int, tasks: list[str], **properties: str) -> subprocess.Popen:
    settings = [f"{name.replace('__', '.')}={value}" for name, value in properties.items()]
    process = subprocess.Popen(
        [*JVM, "Writers", table, str(threads), *settings],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(warehouse),
    )
    process.stdin.write("\n".join(tasks) + "\n")
    process.stdin.close()
    process.stdin = None
    return process


def told(process: subprocess.Popen) -> Told:
    out, _ = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 0, out
    lines = [line.split("\t") for line in out.splitlines()]
    return Told(
        [line[1] for line in lines if line[0] == "ok"],
        {line[1]: line[2] for line in lines if line[0] == "failed"},
        [line[1] for line in lines if line[0] == "deleted"],
    )


def write(warehouse: Warehouse, table: str, threads: int, tasks: list[str], **properties: str) -> Told:
    """Runs tasks (`File.line`), one commit each."""
    return told(start(warehouse, table, threads, tasks, **properties))
