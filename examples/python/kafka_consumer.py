#!/usr/bin/env python3
"""Records of a Kafka topic on a branch, each once, over HTTP: what a consumer in any language has to do.

    pip install confluent-kafka
    export ONWARD_ACCESS_KEY_ID=… ONWARD_SECRET_ACCESS_KEY=…
    ./kafka_consumer.py --brokers localhost:9092 --topic orders --group lake \
        --sidecar http://127.0.0.1:8000 --branch lake/main --folder /srv/lake-files

Each partition is a producer of the branch, whose sequence counts its commits, and each commit says in its
metadata how far it brings its partitions. Whoever is given a partition reads that, and claims it by a commit
without files under the next sequence: of all who have read the same one only one can. So a process that lost a
partition without noticing comes too late with all it has, and what is sent again is a duplicate. Files lie in a folder that the sidecar can read (`onward serve --allow-source file://FOLDER`).
What the sink in Rust does besides: it notices a topic that is deleted and made again under its name.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

# A request is sent again for so long: the same request is the same op.
PATIENCE_S = 300

# Partitions are claimed so often while others still commit.
CLAIMS_MAX = 20

# With so many records in memory a commit does not wait for its time.
RECORDS_MAX = 100_000


class TakenOver(Exception):
    """Somebody else has moved a partition: what was read of it here counts for nothing."""


class Branch:
    """A branch behind a sidecar."""

    def __init__(self, sidecar, branch):
        repo, name = (urllib.parse.quote(part, safe="") for part in branch.split("/", 1))
        self.branch = f"{sidecar.rstrip('/')}/onward/v1/repositories/{repo}/branches/{name}"
        self.commits = f"{sidecar.rstrip('/')}/api/v1/repositories/{repo}/commits"
        login = f"{os.environ['ONWARD_ACCESS_KEY_ID']}:{os.environ['ONWARD_SECRET_ACCESS_KEY']}"
        self.login = "Basic " + base64.b64encode(login.encode()).decode()

    def call(self, method, url, body=None):
        """The status and the JSON of an answer; goes on while the sidecar or what is behind it is away."""
        headers = {"Authorization": self.login, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            request = urllib.request.Request(url, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    status, text = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, text = error.code, error.read()
            except OSError as error:
                status, text = 503, str(error).encode()
            if status not in (202, 429, 500, 502, 503, 504) or time.monotonic() > deadline:
                return status, json.loads(text or b"{}") if status < 500 else {"detail": repr(text)}
            time.sleep(0.5)

    def standing(self, name):
        """The sequence that a producer has reached, and what the commit of that says; (0, {}) of a new one."""
        status, told = self.call("GET", f"{self.branch}/producers/{urllib.parse.quote(name, safe='')}")
        if status == 404 and self.call("GET", f"{self.branch}/queue?limit=1")[0] == 200:
            return 0, {}
        if status != 200:
            raise RuntimeError(f"{name} cannot be looked up: {status} {told}")
        if told["commit"] is None:
            raise RuntimeError(f"the last op of {name} made no commit: look up in the files how far it is")
        status, commit = self.call("GET", f"{self.commits}/{told['commit']}")
        if status != 200:
            raise RuntimeError(f"commit {told['commit']} cannot be read: {status} {commit}")
        return told["sequence"], json.loads(commit["metadata"]["offsets"])

    def commit(self, message, changes, producers, offsets):
        """Commits changes and moves producers on, or does neither."""
        body = {
            "message": message,
            "changes": changes,
            "producers": producers,
            "metadata": {"offsets": json.dumps(offsets)},
            "allow_empty": True,
            "op_id": str(uuid.uuid4()),
        }
        status, told = self.call("POST", f"{self.branch}/changes", body)
        if told.get("outcome") in ("fenced", "behind"):
            raise TakenOver(told.get("reason"))
        if told.get("outcome") != "committed":
            raise RuntimeError(f"the commit came to {status} {told}")


class Sink:
    def __init__(self, args):
        self.args, self.branch = args, Branch(args.sidecar, args.branch)
        self.sequences, self.next, self.lines, self.first = {}, {}, {}, {}
        self.failed = None
        self.consumer = Consumer(
            {
                "bootstrap.servers": args.brokers,
                "group.id": args.group,
                # Offsets are on the branch.
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # An offset that is gone is told, and never replaced by another.
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": args.exit_at_end,
                "partition.assignment.strategy": "cooperative-sticky",
                **dict(each.split("=", 1) for each in args.set),
            }
        )

    def producers(self, partitions):
        """The next op of these."""
        return [
            {"name": self.name(partition), "epoch": 1, "sequence": self.sequences[partition] + 1}
            for partition in partitions
        ]

    def name(self, partition):
        return f"python/{self.args.group}/{self.args.topic}/{partition}"

    def assigned(self, consumer, partitions):
        """Claims partitions, and begins where the branch says. Errors in a callback are not raised by poll,
        so they are kept."""
        try:
            numbers = [each.partition for each in partitions]
            if numbers:
                self.claim(numbers)
            starts = [(number, self.next[number] or OFFSET_BEGINNING) for number in numbers]
            places = [TopicPartition(self.args.topic, number, start) for number, start in starts]
            consumer.incremental_assign(places)
        except Exception as error:
            self.failed = error

    def claim(self, numbers):
        for _ in range(CLAIMS_MAX):
            for number in numbers:
                sequence, offsets = self.branch.standing(self.name(number))
                self.sequences[number] = sequence
                self.next[number] = offsets.get(str(number), 0)
            offsets = {number: self.next[number] for number in numbers}
            try:
                self.branch.commit("partitions are claimed", [], self.producers(numbers), offsets)
            except TakenOver:
                # Who had them before has just committed.
                continue
            for number in numbers:
                self.sequences[number] += 1
            return
        raise TakenOver(f"others move partitions {numbers} again and again")

    def revoked(self, consumer, partitions):
        """Commits what was read before others have the partitions."""
        try:
            self.commit()
        except TakenOver:
            pass
        except Exception as error:
            self.failed = error
        self.forget(partitions)
        consumer.incremental_unassign(partitions)

    def lost(self, consumer, partitions):
        """Others may have them already: what was read is theirs to read."""
        self.forget(partitions)
        consumer.incremental_unassign(partitions)

    def forget(self, partitions):
        for partition in (each.partition for each in partitions):
            for kept in (self.sequences, self.next, self.lines, self.first):
                kept.pop(partition, None)

    def take(self, message):
        """Offsets rise and have holes: one's own next offset is the last one and one more."""
        partition, offset = message.partition(), message.offset()
        if partition not in self.sequences or offset < self.next[partition]:
            return
        value = json.loads(message.value()) if message.value() is not None else None
        self.first.setdefault(partition, offset)
        self.lines.setdefault(partition, []).append(json.dumps({"offset": offset, "value": value}))
        self.next[partition] = offset + 1

    def commit(self):
        """A file for each partition, all in one commit with their offsets."""
        changes, taken = [], list(self.lines)
        for partition, lines in self.lines.items():
            path = f"{self.args.topic}/{partition}-{self.first[partition]:020}.jsonl"
            data = ("\n".join(lines) + "\n").encode()
            # A name that no other process uses: one that was taken over may be writing, too.
            file = pathlib.Path(self.args.folder).resolve() / str(uuid.uuid4())
            with open(file, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            checksum = hashlib.md5(data).hexdigest()
            put = {"path": path, "address": file.as_uri(), "checksum": checksum, "size": len(data)}
            changes.append({"put": put})
        if changes:
            offsets = {partition: self.next[partition] for partition in taken}
            message = f"records of {self.args.topic}"
            self.branch.commit(message, changes, self.producers(taken), offsets)
        for partition in taken:
            self.sequences[partition] += 1
            del self.lines[partition], self.first[partition]

    def run(self):
        stopped, ended = [], set()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.append(True))
        callbacks = {"on_assign": self.assigned, "on_revoke": self.revoked, "on_lost": self.lost}
        self.consumer.subscribe([self.args.topic], **callbacks)
        due = time.monotonic() + self.args.commit_every
        while not stopped:
            message = self.consumer.poll(0.1)
            if self.failed:
                raise self.failed
            if message is not None and message.error() is None:
                ended.discard(message.partition())
                self.take(message)
            elif message is not None and message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            elif message is not None:
                raise KafkaException(message.error())
            is_at_end = self.args.exit_at_end and self.sequences and ended >= set(self.sequences)
            is_full = sum(map(len, self.lines.values())) >= RECORDS_MAX
            if time.monotonic() >= due or is_full or is_at_end:
                self.commit()
                due = time.monotonic() + self.args.commit_every
            if is_at_end:
                break
        self.commit()
        self.consumer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("brokers", "topic", "group", "sidecar", "branch", "folder"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--commit-every", type=float, default=5, metavar="SECONDS")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of librdkafka")
    parser.add_argument("--exit-at-end", action="store_true")
    Sink(parser.parse_args()).run()


if __name__ == "__main__":
    main()
