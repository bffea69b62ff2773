#!/bin/bash
# librdkafka's mock cluster, from confluent-kafka 2.12.2 (test.mock.num.brokers), takes transactions and carries none out:
# a reader of what is committed gets what was aborted, a producer that another has fenced goes on and commits, and
# offsets that were sent with a transaction are not there. Tests of an exactly-once sink pass on it whatever
# the sink does. Kafka 4.4.0 does otherwise in all three.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install confluent-kafka==2.12.2
cat > "$work/run.py" <<'PY'
import sys
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

host = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
brokers = ",".join(f"{one.host}:{one.port}" for one in host.list_topics(timeout=30).brokers.values())
reader = {"bootstrap.servers": brokers, "auto.offset.reset": "earliest", "isolation.level": "read_committed"}


def producer():
    one = Producer({"bootstrap.servers": brokers, "transactional.id": "sink"})
    one.init_transactions(30)
    return one


def committed_records():
    consumer = Consumer({**reader, "group.id": "reader"})
    consumer.assign([TopicPartition("results", 0, 0)])
    found = [message.value() for message in consumer.consume(10, 5) if not message.error()]
    consumer.close()
    return found


first = producer()
first.begin_transaction()
first.produce("results", b"aborted", partition=0)
first.flush(30)
first.abort_transaction(30)
first.begin_transaction()
second = producer()
try:
    first.produce("results", b"fenced", partition=0)
    first.commit_transaction(30)
    fenced = "committed"
except KafkaException as error:
    fenced = f"refused ({error.args[0].name()})"
second.begin_transaction()
second.produce("results", b"committed", partition=0)
source = Consumer({**reader, "group.id": "sink"})
source.subscribe(["results"])
while not source.assignment():
    source.poll(0.2)
second.send_offsets_to_transaction([TopicPartition("results", 0, 3)], source.consumer_group_metadata(), 30)
second.commit_transaction(30)
offset = source.committed([TopicPartition("results", 0)], 30)[0].offset
found = committed_records()
source.close()
print(f"the fenced producer: {fenced}; read_committed: {found}")
print(f"offset sent with a committed transaction: 3; committed: {offset if offset >= 0 else None}")
seen = fenced == "committed" and found == [b"aborted", b"fenced", b"committed"] and offset < 0
sys.exit(0 if seen else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
