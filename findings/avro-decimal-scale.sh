#!/bin/bash
# avro 1.12.2, Apache's own library for Python: a decimal is written by its digits as they happen to be, and read by the
# scale of the schema. Of scale 2, Decimal("1.2") is written as 0.12 and Decimal("5") as 0.05, without a word, as bytes and
# as fixed; more digits than the precision has are written as well. Avro's specification (Decimal) has the unscaled
# value of the schema's scale. fastavro 1.13.1 writes 1.20 and 5.00, and refuses what is too long.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install avro==1.12.2 fastavro==1.13.1
cat > "$work/run.py" <<'PY'
import json, sys
from decimal import Decimal
import avro.datafile, avro.io, avro.schema, fastavro

KINDS = {"bytes": {"type": "bytes"}, "fixed": {"type": "fixed", "name": "price", "size": 4}}


def schema(kind):
    decimal = {**KINDS[kind], "logicalType": "decimal", "precision": 5, "scale": 2}
    return {"type": "record", "name": "row", "fields": [{"name": "price", "type": decimal}]}


def by_avro(kind, values):
    parsed = avro.schema.parse(json.dumps(schema(kind)))
    with avro.datafile.DataFileWriter(open("by-avro", "wb"), avro.io.DatumWriter(), parsed) as writer:
        for value in values:
            writer.append({"price": value})
    return "by-avro"


def by_fastavro(kind, values):
    with open("by-fastavro", "wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema(kind)), [{"price": value} for value in values])
    return "by-fastavro"


def seen(write, kind, texts):
    """What both libraries read of the decimals that one of them wrote."""
    try:
        path = write(kind, [Decimal(text) for text in texts])
    except Exception as error:
        print(f"{write.__name__}, {kind}, {texts}: refused ({type(error).__name__})")
        return "refused"
    with open(path, "rb") as file:
        found = [str(row["price"]) for row in fastavro.reader(file)]
    with avro.datafile.DataFileReader(open(path, "rb"), avro.io.DatumReader()) as reader:
        assert [str(row["price"]) for row in reader] == found
    print(f"{write.__name__}, {kind}, {texts}: {found}")
    return found


PRICES, LONG = ["1.25", "1.2", "5"], ["123456.78"]
as_described = True
for kind in KINDS:
    as_described &= seen(by_avro, kind, PRICES) == ["1.25", "0.12", "0.05"]
    as_described &= seen(by_fastavro, kind, PRICES) == ["1.25", "1.20", "5.00"]
    as_described &= seen(by_avro, kind, LONG) != "refused" and seen(by_fastavro, kind, LONG) == "refused"
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
