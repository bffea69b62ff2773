#!/bin/bash
# singer-python 6.8.0: taps of Singer and Meltano give their records to its Transformer, which fits them to the schema that
# they say. An integer of 1.7 becomes 1, a decimal that came as text a float (12345678901234567.89 loses its end), "no" true,
# an object where text is said Python's way to write it, which is no JSON, "" nothing, the text 007 of a field
# that may be a whole number or text 7, and a field that the schema doesn't name is gone. Times are cut to microseconds and
# lose their offset. What cannot be cast is an error; none of these is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install singer-python==6.8.0
cat > "$work/run.py" <<'PY'
import sys
import singer


def seen(kind, value, **more):
    """What becomes of a field of a type."""
    schema = {"type": "object", "properties": {"x": {"type": kind, **more}}}
    found = singer.transform({"x": value}, schema)
    print(f"{value!r} as {kind}: {found['x']!r}")
    return found["x"]


moment = "2026-11-29T10:00:00.123456789+02:00"
found = [
    seen("integer", 1.7),
    seen("number", "12345678901234567.89"),
    seen("boolean", "no"),
    seen("string", {"ok": None}),
    seen(["null", "integer"], ""),
    seen(["integer", "string"], "007"),
    seen("string", moment, format="date-time"),
]
dropped = singer.transform({"x": 1, "new": 2}, {"type": "object", "properties": {"x": {"type": "integer"}}})
print(f"with a new field: {dropped}")
try:
    refused = seen("integer", "seven")
except Exception as error:
    refused = type(error).__name__
    print(f"'seven' as integer: {refused}")
wanted = [1, 12345678901234568.0, True, "{'ok': None}", None, 7, "2026-11-29T08:00:00.123456Z"]
sys.exit(0 if found == wanted and found[2] is True and dropped == {"x": 1} and refused == "SchemaMismatch" else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
