#!/bin/bash
# A field that a newer Avro schema adds with a default, read from data of before. fastavro 1.13.1, which confluent-kafka's
# deserializer uses, hands out the JSON of the schema as it stands: a decimal of -2.50 is the text "ÿ\x06" (fastavro#869 is
# of bytes), a date the number 20454, a record with defaults of its own is empty. avro 1.12.2, Apache's own for Python,
# writes the text of bytes in UTF-8: b"\xc3\xbf\x06" in place of b"\xff\x06" (the specification, Schema Record: code points
# 0 to 255 are bytes), which is another decimal, and leaves it bytes. A value that was written is read right by both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install avro==1.12.2 fastavro==1.13.1
cat > "$work/run.py" <<'PY'
import datetime, io, json, sys
from decimal import Decimal
import avro.io, avro.schema, fastavro

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
DAY = {"type": "int", "logicalType": "date"}
PLACE = {"type": "record", "name": "place", "fields": [{"name": "country", "type": "string", "default": "DE"}]}
FIELDS = {"price": (MONEY, "\u00ff\u0006"), "code": ("bytes", "\u00ff"), "day": (DAY, 20454), "place": (PLACE, {})}
WRITTEN = {"price": Decimal("-2.50"), "code": b"\xff", "day": datetime.date(2026, 1, 1), "place": {"country": "DE"}}
OLD = {"type": "record", "name": "row", "fields": [{"name": "id", "type": "int"}]}
NEW = {**OLD, "fields": OLD["fields"] + [{"name": name, "type": kind, "default": value} for name, (kind, value) in FIELDS.items()]}


def by_fastavro(row, schema):
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(schema), row)
    file.seek(0)
    return fastavro.schemaless_reader(file, fastavro.parse_schema(schema), fastavro.parse_schema(NEW))


def by_avro(row, schema):
    file = io.BytesIO()
    written, read = (avro.schema.parse(json.dumps(one)) for one in [schema, NEW])
    avro.io.DatumWriter(written).write(row, avro.io.BinaryEncoder(file))
    file.seek(0)
    return avro.io.DatumReader(written, read).read(avro.io.BinaryDecoder(file))


found = {}
for read in [by_fastavro, by_avro]:
    for row, schema in [({"id": 1}, OLD), ({"id": 1, **WRITTEN}, NEW)]:
        values = read(row, schema)
        found[read.__name__, schema is OLD] = {name: values[name] for name in FIELDS}
        print(f"{read.__name__}, {'of before' if schema is OLD else 'written'}: {found[read.__name__, schema is OLD]}")
as_described = found["by_fastavro", False] == found["by_avro", False] == WRITTEN
as_described &= found["by_fastavro", True] == {"price": "\u00ff\u0006", "code": "\u00ff", "day": 20454, "place": {}}
utf8 = {"price": b"\xc3\xbf\x06", "code": b"\xc3\xbf", "day": 20454, "place": {"country": "DE"}}
sys.exit(0 if as_described and found["by_avro", True] == utf8 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
