#!/bin/bash
# fastparquet 2026.9.0 (write_row_groups) and dask 2026.8.0 with pyarrow 19.0.1 (to_parquet(append=True)): an appender
# counts the files that are there when it begins and names its own by that. Of two that began at the same
# moment the later one's file replaces the earlier one's; both succeed, and one's rows are gone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install fastparquet==2026.9.0 dask==2026.8.0 pyarrow==19.0.1 pandas==2.3.3
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import dask.dataframe, fastparquet, pandas


def rows(number):
    return pandas.DataFrame({"n": [number]})


def with_fastparquet(folder):
    fastparquet.write(folder, rows(0), file_scheme="hive")
    first, second = fastparquet.ParquetFile(folder), fastparquet.ParquetFile(folder)
    first.write_row_groups(rows(1))
    second.write_row_groups(rows(2))
    return sorted(fastparquet.ParquetFile(folder).to_pandas()["n"])


def with_dask(folder):
    def write(number, **options):
        return dask.dataframe.from_pandas(rows(number), npartitions=1).to_parquet(folder, **options)

    write(0)
    first, second = (write(number, append=True, ignore_divisions=True, compute=False) for number in [1, 2])
    first.compute()
    second.compute()
    return sorted(dask.dataframe.read_parquet(folder).compute()["n"])


seen = {}
for name, append in {"fastparquet": with_fastparquet, "dask": with_dask}.items():
    folder = tempfile.mkdtemp(dir=".") + "/table"
    seen[name] = append(folder)
    files = sorted(file for file in os.listdir(folder) if file.endswith(".parquet"))
    print(f"{name}: 1 and 2 appended to 0, and {seen[name]} is there, in {files}")
sys.exit(0 if list(seen.values()) == [[0, 2]] * 2 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
