#!/bin/bash
# deltalake 1.6.6 on S3 (moto 5.2.5): the reply to the put that commits is lost, the put is sent again and refused by
# If-None-Match, and the writer takes its own commit for somebody else's. An append is committed a second time
# (the table has its rows once, its change data feed has them twice); an update that was carried out is told
# as failed, with the advice to run it again, and then is carried out twice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 pyarrow==26.0.1 'moto[server]==5.2.5' boto3==1.44.8
cat > "$work/run.py" <<'PY'
import os, socket, subprocess, sys, threading, time
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3, pyarrow
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError


class Relay:
    """Passes everything on; the reply to the first request with the mark is lost with its connection."""

    def __init__(self, upstream, mark):
        self.upstream, self.mark, self.lost = upstream, mark, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, server = self.listener.accept()[0], socket.create_connection(("127.0.0.1", self.upstream))
            threading.Thread(target=self.requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self.replies, args=(client, server), daemon=True).start()

    def requests(self, client, server):
        while data := client.recv(65536):
            if self.mark in data and not self.lost:
                self.lost = client
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    def replies(self, client, server):
        while (data := server.recv(65536)) and self.lost is not client:
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)


def through(port):
    return {"aws_endpoint": f"http://127.0.0.1:{port}", "aws_allow_http": "true"}


def contents(where):
    table = DeltaTable(where, storage_options=through(port))
    feed = pyarrow.table(table.load_cdf(starting_version=1)).to_pylist()
    rows = sorted(table.to_pyarrow_table()["n"].to_pylist())
    inserts = [change for change in feed if change["_change_type"] == "insert"]
    return rows, sorted((change["_commit_version"], change["n"]) for change in inserts)


def first_commit_unanswered(name, change):
    where = f"s3://lake/{name}"
    write_deltalake(where, pyarrow.table({"n": [1, 2]}), storage_options=through(port),
                    configuration={"delta.enableChangeDataFeed": "true"})
    relay = Relay(port, f"PUT /lake/{name}/_delta_log/00000000000000000001.json".encode())
    try:
        change(where, through(relay.port))
        told = "done"
    except CommitFailedError as error:
        told = "failed, run it again" if "must be rerun" in str(error) else "failed"
    assert relay.lost
    return where, told


def append(where, options):
    write_deltalake(where, pyarrow.table({"n": [3]}), mode="append", storage_options=options)


def update(where, options):
    DeltaTable(where, storage_options=options).update({"n": "n + 10"})


port = free_port()
server = subprocess.Popen([f"{sys.prefix}/bin/moto_server", "-p", f"{port}"], stderr=subprocess.DEVNULL)
try:
    wait_for(port)
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="lake")
    appended, append_told = first_commit_unanswered("appended", append)
    rows, inserted = contents(appended)
    print(f"append of 3 to 1, 2: {append_told}; rows {rows}; inserts in the feed (version, n): {inserted}")
    updated, update_told = first_commit_unanswered("updated", update)
    after = contents(updated)[0]
    update(updated, through(port))
    again = contents(updated)[0]
    print(f"update of 1, 2 by 10: {update_told}; rows {after}; run again: {again}")
finally:
    server.terminate()
as_described = (append_told, rows, inserted) == ("done", [1, 2, 3], [(1, 3), (2, 3)])
as_described &= (update_told, after, again) == ("failed, run it again", [11, 12], [21, 22])
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
