#!/bin/bash
# confluent-kafka 2.12.2 for Python: a consumed record counts as false where its value is empty or null, as its length is
# that of the value. So a loop that says `if not record: continue`, for poll() gives None where nothing came, skips every
# tombstone and empty value, and commits behind them. And a record that is produced with the time 0 (1970) gets that of
# the moment, where 1 and -1000 stay; aiokafka 0.14.0 keeps 0. Both without a word; on the mock cluster of librdkafka here.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install confluent-kafka==2.12.2 aiokafka==0.14.0
cat > "$work/run.py" <<'PY'
import asyncio, sys
import aiokafka, confluent_kafka

cluster = confluent_kafka.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
(broker,) = cluster.list_topics(timeout=10).brokers.values()
servers = f"{broker.host}:{broker.port}"
TIMES, VALUES = [1, 0, -1000], [b"a", b"", None, b"b"]


def consumed(topic, count):
    """All records of a topic, by a loop that asks for None."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": servers, "group.id": "all", "auto.offset.reset": "earliest"})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    records = []
    while len(records) < count:
        record = consumer.poll(0.5)
        if record is not None and record.error() is None:
            records.append(record)
    consumer.close()
    return records


def by_confluent(topic):
    producer = confluent_kafka.Producer({"bootstrap.servers": servers})
    for time in TIMES:
        producer.produce(topic, "x", partition=0, timestamp=time)
    producer.flush()


async def by_aiokafka(topic):
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for time in TIMES:
            await producer.send_and_wait(topic, b"x", partition=0, timestamp_ms=time)


for value in VALUES:
    cluster.produce("values", value, key="k", partition=0)
cluster.flush()
records = consumed("values", len(VALUES))
truth = {str(record.value()): bool(record) for record in records}
print(f"records by their values, and whether they are true: {truth}")

by_confluent("confluent")
asyncio.run(by_aiokafka("aiokafka"))
times = {}
for topic in ["confluent", "aiokafka"]:
    times[topic] = [record.timestamp()[1] for record in consumed(topic, len(TIMES))]
    print(f"times {TIMES} by {topic}: {times[topic]}")
first, zero, last = times["confluent"]
as_described = list(truth.values()) == [True, False, False, True]
as_described &= (first, last) == (1, -1000) and zero > 1_700_000_000_000
as_described &= times["aiokafka"] == TIMES
sys.exit(0 if as_described else 1)
PY
cd "$work"
if timeout 60 "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
