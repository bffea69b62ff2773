"""Listings, history and differences as tables: what readers of tables make of each format."""

import base64
import re
import shutil
import urllib.request
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import pytest
from gateway import Lake

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
FORMATS = ["parquet", "csv", "jsonl"]
# What every format has to take care of.
NAMES = ["plain", "a,b", 'say "no"', "=1+1", "line\nbreak", "é 日本", "-"]


def exported(lake: Lake, folder: Path, what: str) -> dict[str, str]:
    """The same table in every format, over HTTP: what the command writes is the same, and it sees no memory but its own."""
    login = base64.b64encode(lake.deployment.credential.encode()).decode()
    files = {}
    for form in FORMATS:
        url = f"{lake.deployment.sidecar.url}/onward/v1/repositories/{lake.name}/refs/{what}format={form}"
        files[form] = str(folder / f"table.{form}")
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
        with urllib.request.urlopen(request, timeout=60) as answer, open(files[form], "wb") as kept:
            shutil.copyfileobj(answer, kept)
    return files


@pytest.fixture
def kept(lake) -> Lake:
    """With names, metadata and two commits."""
    s3 = lake.boto3()
    for name in NAMES:
        s3.put_object(Bucket=lake.name, Key=f"main/t/{name}", Body=name.encode(), Metadata={"n": "1"}, ContentType="text/plain")
    lake.commit("first, with a comma\nand a line")
    s3.put_object(Bucket=lake.name, Key="main/t/plain", Body=b"other")
    s3.delete_object(Bucket=lake.name, Key="main/t/-")
    lake.commit("second")
    return lake


def test_every_reader_finds_the_same_rows_in_every_format(kept, tmp_path):
    files = exported(kept, tmp_path, "main/objects?")
    expected = sorted(f"t/{name}" for name in NAMES if name != "-")
    assert sorted(key.removeprefix("main/") for key in kept.keys()) == expected
    size = sum(len(path.encode()) - 2 for path in expected if path != "t/plain") + len(b"other")
    found = {
        f"{reader} {form}": (sorted(paths), sizes)
        for form, file in files.items()
        for reader, (paths, sizes) in {
            "duckdb": duckdb.sql(f"SELECT list(path), sum(size)::BIGINT FROM '{file}'").fetchone(),
            "pandas": (lambda table: (list(table["path"]), int(table["size"].sum())))(
                {"parquet": pandas.read_parquet, "csv": pandas.read_csv, "jsonl": lambda file: pandas.read_json(file, lines=True)}[form](file)
            ),
            "polars": (lambda table: (table["path"].to_list(), table["size"].sum()))(
                {"parquet": polars.read_parquet, "csv": polars.read_csv, "jsonl": polars.read_ndjson}[form](file)
            ),
            "pyarrow": (lambda table: (table["path"].to_pylist(), sum(table["size"].to_pylist())))(
                {
                    "parquet": pyarrow.parquet.read_table,
                    "csv": lambda file: pyarrow.csv.read_csv(file, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)),
                    "jsonl": pyarrow.json.read_json,
                }[form](file)
            ),
        }.items()
    }
    assert len(found) == 12
    for who, rows in found.items():
        assert rows == (expected, size), who


def test_parquet_has_types_that_readers_know(kept, tmp_path):
    listed = pyarrow.parquet.read_table(exported(kept, tmp_path, "main@/objects?")["parquet"])
    assert listed.schema.field("size").type == pyarrow.int64()
    assert listed.schema.field("mtime").type == pyarrow.timestamp("ms", tz="UTC")
    pairs = listed.schema.field("metadata").type
    assert pyarrow.types.is_map(pairs) and (pairs.key_type, pairs.item_type) == (pyarrow.string(), pyarrow.string())
    assert listed.schema.metadata[b"onward.schema"] == b"objects/1"
    assert listed.schema.metadata[b"onward.commit"].decode() == kept.log()[0]["id"]
    logged = exported(kept, tmp_path, "main/commits?counts=true&")
    row = duckdb.sql(f"SELECT message, added, removed, changed, len(parents), typeof(created) FROM '{logged['parquet']}' LIMIT 1")
    assert row.fetchone() == ("second", 0, 1, 1, 1, "TIMESTAMP WITH TIME ZONE")
    # The readers of CSV and of lines of JSON find out by themselves that it is a time.
    for form in ["csv", "jsonl"]:
        kind = duckdb.sql(f"SELECT typeof(created), message FROM '{logged[form]}' OFFSET 1 LIMIT 1").fetchone()
        assert kind[0].startswith("TIMESTAMP"), kind
        assert kind[1] == "first, with a comma\nand a line"
    differing = exported(kept, tmp_path, "main~1/diff/main?two_dot=true&")
    for form, file in differing.items():
        told = duckdb.sql(f"SELECT path, type, left_size, right_size FROM '{file}'").fetchall()
        assert told == [("t/-", "removed", 1, None), ("t/plain", "changed", 5, 5)], form
    assert polars.read_parquet(differing["parquet"])["base_size"].to_list() == [None, None]


def test_the_snippet_runs(kept, tmp_path, monkeypatch):
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    text = text.replace("http://127.0.0.1:8000", kept.deployment.sidecar.url).replace("/lake/", f"/{kept.name}/")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONWARD_ACCESS_KEY_ID", kept.key)
    monkeypatch.setenv("ONWARD_SECRET_ACCESS_KEY", kept.secret)
    exec(compile(text, str(PAGE), "exec"), {})
