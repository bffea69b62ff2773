#!/bin/bash
# aiokafka 0.14.0 and confluent-kafka 2.12.2 on Kafka 4.4.0, exactly-once as it is meant: results and offsets in one
# transaction. A consumer is too slow (max.poll.interval), its partition goes to a second one, which does the work
# again and commits; then the first wakes up and commits too. confluent-kafka hands the group's generation on, and
# the broker refuses; aiokafka hands on the group's name only, is let through, and every result is there twice for
# readers of what is committed. (Its consumer's own commit() would have been refused at that moment.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install aiokafka==0.14.0 confluent-kafka==2.12.2
cat > "$work/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>findings</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.4.0</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs" >"$work/log" 2>&1
cat > "$work/run.py" <<'PY'
import asyncio, os, socket, subprocess, sys
import aiokafka, confluent_kafka
from aiokafka.errors import IllegalStateError, KafkaError
from confluent_kafka.admin import AdminClient, NewTopic

RECORDS, CLUSTER = 10, "AAAAAAAAAAAAAAAAAAAAAQ"


def start_broker():
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    settings = f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{ports[1]}
listeners=PLAINTEXT://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}
advertised.listeners=PLAINTEXT://127.0.0.1:{ports[0]}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={os.getcwd()}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
"""
    with open("server.properties", "w") as file:
        file.write(settings)
    java = ["java", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", "libs/*"]
    prepare = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", "server.properties"]
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(prepare, check=True, **quiet)
    broker = subprocess.Popen([*java, "kafka.Kafka", "server.properties"], **quiet)
    return broker, f"127.0.0.1:{ports[0]}"


def make_topics(broker, name):
    admin = AdminClient({"bootstrap.servers": broker})
    for made in admin.create_topics([NewTopic(name, 1, 1), NewTopic(f"{name}-results", 1, 1)]).values():
        made.result(60)
    producer = confluent_kafka.Producer({"bootstrap.servers": broker})
    for number in range(RECORDS):
        producer.produce(name, f"{number}".encode(), partition=0)
    producer.flush(30)


def committed_results(broker, name):
    settings = {"group.id": "reader", "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    reader = confluent_kafka.Consumer({"bootstrap.servers": broker, **settings})
    reader.assign([confluent_kafka.TopicPartition(f"{name}-results", 0, 0)])
    found = [message.value() for message in reader.consume(100, 10) if not message.error()]
    reader.close()
    return len(found)


async def with_aiokafka(broker, name):
    partition = aiokafka.TopicPartition(name, 0)
    every = {"bootstrap_servers": broker, "group_id": name}
    every |= {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
    times = {"max_poll_interval_ms": 6000, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500}

    async def begin(who):
        consumer = aiokafka.AIOKafkaConsumer(name, **every, **times)
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker, transactional_id=f"{name}-{who}")
        await consumer.start()
        await producer.start()
        await producer.begin_transaction()
        return consumer, producer

    async def work(consumer, producer):
        records = []
        while len(records) < RECORDS:
            records += (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
        for record in records:
            await producer.send_and_wait(f"{name}-results", record.value, partition=0)

    async def finish(producer):
        try:
            await producer.send_offsets_to_transaction({partition: RECORDS}, name)
            await producer.commit_transaction()
            return "committed"
        except KafkaError as error:
            await producer.abort_transaction()
            return f"refused ({error})"

    first, first_producer = await begin("first")
    await work(first, first_producer)
    second, second_producer = await begin("second")
    await work(second, second_producer)
    told = {"second": await finish(second_producer)}
    try:
        await first.commit({partition: RECORDS})
        own = "committed"
    except (IllegalStateError, KafkaError):
        own = "refused"
    told["first"] = await finish(first_producer)
    for part in [first, second, first_producer, second_producer]:
        await part.stop()
    return told, own


def with_confluent_kafka(broker, name):
    settings = {"group.id": name, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    times = {"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}

    def begin(who):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, **settings, **times})
        consumer.subscribe([name])
        producer = confluent_kafka.Producer({"bootstrap.servers": broker, "transactional.id": f"{name}-{who}"})
        producer.init_transactions(60)
        producer.begin_transaction()
        return consumer, producer

    def work(consumer, producer):
        done = 0
        while done < RECORDS:
            message = consumer.poll(0.5)
            if message and not message.error():
                producer.produce(f"{name}-results", message.value(), partition=0)
                done += 1

    def finish(consumer, producer):
        offsets = [confluent_kafka.TopicPartition(name, 0, RECORDS)]
        try:
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            return "committed"
        except confluent_kafka.KafkaException as error:
            producer.abort_transaction()
            return f"refused ({error.args[0].name()})"

    first, first_producer = begin("first")
    work(first, first_producer)
    second, second_producer = begin("second")
    work(second, second_producer)
    told = {"second": finish(second, second_producer), "first": finish(first, first_producer)}
    first.close()
    second.close()
    return told


server, broker = start_broker()
try:
    make_topics(broker, "a")
    make_topics(broker, "c")
    told, own = asyncio.run(asyncio.wait_for(with_aiokafka(broker, "a"), 120))
    results = committed_results(broker, "a")
    print(f"aiokafka: {told}, {results} results of {RECORDS} records; the first one's consumer.commit(): {own}")
    other_told = with_confluent_kafka(broker, "c")
    other_results = committed_results(broker, "c")
    print(f"confluent-kafka: {other_told}, {other_results} results of {RECORDS} records")
finally:
    server.terminate()
    server.wait()
as_described = told == {"second": "committed", "first": "committed"} and results == 2 * RECORDS and own == "refused"
as_described &= other_told["first"].startswith("refused") and other_results == RECORDS
sys.exit(0 if as_described else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
