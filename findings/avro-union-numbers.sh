#!/bin/bash
# A whole number in an Avro union of whole numbers and others. fastavro 1.13.1, which confluent-kafka's serializer uses, writes
# it as the first branch that takes numbers, and avro 1.12.2, Apache's own for Python, as the last one, whatever is lost:
# the id 9007199254740993 in a field of ["null", "double", "long"] comes back from fastavro as 9007199254740992.0, in one
# of ["null", "long", "double"] from avro. (A float beside a double fastavro passes over, fastavro#437.) And 1e300 in a
# float is written as infinity by fastavro, and refused by avro.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install avro==1.12.2 fastavro==1.13.1
cat > "$work/run.py" <<'PY'
import io, json, sys
import avro.errors, avro.io, avro.schema, fastavro


def by_fastavro(schema, row):
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(schema), row)
    file.seek(0)
    return fastavro.schemaless_reader(file, fastavro.parse_schema(schema), None)


def by_avro(schema, row):
    file, parsed = io.BytesIO(), avro.schema.parse(json.dumps(schema))
    avro.io.DatumWriter(parsed).write(row, avro.io.BinaryEncoder(file))
    file.seek(0)
    return avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(file))


def seen(kind, value):
    """The value as both libraries write and read it, or None where it is refused."""
    schema, found = {"type": "record", "name": "row", "fields": [{"name": "x", "type": kind}]}, []
    for library in [by_fastavro, by_avro]:
        try:
            found.append(repr(library(schema, {"x": value})["x"]))
        except (OverflowError, avro.errors.AvroException):
            found.append(None)
    print(f"{value} as {kind}: fastavro {found[0]}, avro {found[1]}")
    return found


as_described = seen(["null", "double", "long"], 2**53 + 1) == ["9007199254740992.0", "9007199254740993"]
as_described &= seen(["float", "long"], 2**24 + 1) == ["16777216.0", "16777217"]
as_described &= seen(["null", "long", "double"], 2**53 + 1) == ["9007199254740993", "9007199254740992.0"]
as_described &= seen("float", 1e300) == ["inf", None]
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
