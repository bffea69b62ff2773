#!/bin/bash
# azure-storage-blob 12.31.1 and adlfs 2026.8.0 on Azurite 3.37.0, nothing configured: the reply to an append is lost with
# its connection, the client sends the block again without a condition on the position, and says that all went
# well: the line is there twice. (append_block has appendpos_condition; adlfs's mode "ab" doesn't use it.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install azure-storage-blob==12.31.1 adlfs==2026.8.0
npm install --silent --no-fund --no-audit --prefix "$work" azurite@3.37.0 >/dev/null
cat > "$work/run.py" <<'PY'
import socket, subprocess, sys, threading, time
import adlfs
from azure.storage.blob import BlobServiceClient


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


# The account that every Azurite has.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def login(port):
    endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
    return f"AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={endpoint};DefaultEndpointsProtocol=http"


def append_with_sdk(port):
    blob = BlobServiceClient.from_connection_string(login(port)).get_blob_client("lake", "log")
    blob.create_append_blob()
    blob.append_block(b"line\n")


def append_with_adlfs(port):
    with adlfs.AzureBlobFileSystem(connection_string=login(port)).open("lake/log", "ab") as file:
        file.write(b"line\n")


port = free_port()
command = ["node", "node_modules/.bin/azurite-blob", "--blobPort", f"{port}", "--location", "store"]
options = ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
seen = []
try:
    wait_for(port)
    lake = BlobServiceClient.from_connection_string(login(port)).create_container("lake")
    for name, append in {"azure-storage-blob": append_with_sdk, "adlfs": append_with_adlfs}.items():
        relay = Relay(port, b"comp=appendblock")
        append(relay.port)
        assert relay.lost
        seen.append(lake.get_blob_client("log").download_blob().readall())
        print(f"{name}: one line appended, no error, and the blob holds {seen[-1]!r}")
        lake.delete_blob("log")
finally:
    server.terminate()
sys.exit(0 if seen == [b"line\nline\n"] * 2 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
