#!/bin/bash
# The CloudEvents SDKs for JavaScript, 10.0.0, and Python, 2.2.0, as a router uses them: an event is read and sent on. JavaScript
# changes long integers of JSON data (sdk-javascript#489, closed), turns the data 1.0 and null of a binary event into
# the texts "1.0" and "null", and cuts times to milliseconds. Python drops null, cuts times to microseconds, and writes true
# as True in a header (the specification, Type System: true or false). Both give an event without a time that of the
# moment, and send the JSON text "abc" on as abc, which is no JSON. All without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install cloudevents==2.2.0
npm install --silent --no-fund --no-audit --prefix "$work" cloudevents@10.0.0 >/dev/null
cat > "$work/forward.mjs" <<'JS'
import { readFileSync } from "fs";
import { HTTP } from "cloudevents";

const sent = JSON.parse(readFileSync(0, "utf8")).map(([headers, body]) => {
  const event = HTTP.toEvent({ headers, body });
  const [structured, binary] = [HTTP.structured(event), HTTP.binary(event)];
  return [structured.body, binary.headers, binary.body];
});
console.log(JSON.stringify(sent));
JS
cat > "$work/run.py" <<'PY'
import json, subprocess, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event

MOMENT, ORDER = "2026-11-29T01:02:03.123456789Z", 2**53 + 1
NAMES = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order"}


def binary(body, **more):
    headers = {f"ce-{name}": value for name, value in {**NAMES, **more}.items()}
    return {**headers, "content-type": "application/json"}, body


STRUCTURED = {**NAMES, "time": MOMENT, "datacontenttype": "application/json", "test": True, "data": {"order": ORDER}}
EVENTS = [
    ({"content-type": "application/cloudevents+json"}, json.dumps(STRUCTURED)),
    binary("1.0", time=MOMENT),
    binary("null", time=MOMENT),
    binary('"abc"', time=MOMENT),
    binary("{}"),
]


def by_python(headers, body):
    event = from_http_event(HTTPMessage(headers=headers, body=body.encode()))
    sent = to_binary_event(event)
    return to_structured_event(event).body.decode(), sent.headers, sent.body.decode()


def told(structured, headers, body):
    """The structured event's data and time, and what the binary one has for its time, a flag and its body."""
    event = json.loads(structured)
    return event.get("data", "none"), event.get("time"), headers.get("ce-time"), headers.get("ce-test"), body


node = subprocess.run(["node", "forward.mjs"], input=json.dumps(EVENTS), check=True, capture_output=True, text=True)
javascript = [told(*sent) for sent in json.loads(node.stdout)]
python = [told(*by_python(*event)) for event in EVENTS]
for (_, body), by_javascript, in_python in zip(EVENTS, javascript, python):
    print(f"{body}\n  javascript {by_javascript}\n  python     {in_python}")

MILLIS, MICROS = "2026-11-29T01:02:03.123Z", "2026-11-29T01:02:03.123456Z"
as_described = javascript[0][:3] == ({"order": ORDER - 1}, MILLIS, MILLIS)
as_described &= javascript[0][4].replace(" ", "") == f'{{"order":{ORDER - 1}}}'
as_described &= [javascript[i][0] for i in (1, 2, 3)] == ["1.0", "null", "abc"] and javascript[3][4] == "abc"
as_described &= javascript[4][1] is not None and python[4][1] is not None
as_described &= python[0][:4] == ({"order": ORDER}, MICROS, MICROS, "True")
as_described &= [python[i][0] for i in (1, 2, 3)] == [1.0, "none", "abc"] and [python[i][4] for i in (2, 3)] == ["", "abc"]
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
