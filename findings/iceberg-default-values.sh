#!/bin/bash
# A column that was added to an Iceberg table of version 3 with a default: rows of before have it (Iceberg's specification,
# Default Values: initial-default), as Iceberg's own Java 1.12.0, pyiceberg 0.12.0, polars 2.1.0 and duckdb 1.5.5 read
# them. daft 0.7.26 and chdb 4.4.0 (ClickHouse 26.9) read null in its place, without a word: sums and filters miss those
# rows, and what is written elsewhere has the null for good. And pyiceberg's filters by a day or a time compare the
# default with a number: since = '2026-01-01' doesn't find the row of which a scan shows that, and since != does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  daft==0.7.26 polars==2.1.0 chdb==4.4.0 chdb-core==26.9.0 'pyiceberg[pyarrow]==0.12.0' pyarrow==25.0.1
cat > "$work/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>findings</groupId>
  <artifactId>iceberg</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.iceberg</groupId><artifactId>iceberg-data</artifactId><version>1.12.0</version></dependency>
    <dependency><groupId>org.apache.iceberg</groupId><artifactId>iceberg-parquet</artifactId><version>1.12.0</version></dependency>
    <dependency><groupId>org.apache.hadoop</groupId><artifactId>hadoop-client-api</artifactId><version>3.4.2</version></dependency>
    <dependency><groupId>org.apache.hadoop</groupId><artifactId>hadoop-client-runtime</artifactId><version>3.4.2</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs" >"$work/log" 2>&1
cat > "$work/Defaults.java" <<'JAVA'
import java.time.LocalDate;
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.*;
import org.apache.iceberg.data.*;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.data.parquet.GenericParquetWriter;
import org.apache.iceberg.expressions.Literal;
import org.apache.iceberg.hadoop.HadoopTables;
import org.apache.iceberg.io.*;
import org.apache.iceberg.parquet.Parquet;
import org.apache.iceberg.types.Types;

public class Defaults {
  static void append(Table table, String name, Object... values) throws Exception {
    OutputFile file = table.io().newOutputFile(table.location() + "/data/" + name + ".parquet");
    DataWriter<Record> writer = Parquet.writeData(file).schema(table.schema())
        .createWriterFunc(GenericParquetWriter::create).withSpec(table.spec()).build();
    Record row = GenericRecord.create(table.schema());
    for (int i = 0; i < values.length; i++) row.set(i, values[i]);
    try (writer) {
      writer.write(row);
    }
    table.newAppend().appendFile(writer.toDataFile()).commit();
  }

  public static void main(String[] folder) throws Exception {
    Schema schema = new Schema(Types.NestedField.required(1, "id", Types.IntegerType.get()));
    Map<String, String> version = Map.of("format-version", "3");
    Table table = new HadoopTables(new Configuration()).create(schema, PartitionSpec.unpartitioned(), version, folder[0]);
    append(table, "before", 1);
    table.updateSchema().addColumn("currency", Types.StringType.get(), Literal.of("EUR"))
        .addColumn("amount", Types.IntegerType.get(), Literal.of(7))
        .addColumn("since", Types.DateType.get(), Literal.of("2026-01-01").to(Types.DateType.get())).commit();
    append(table, "after", 2, "USD", 8, LocalDate.of(2027, 2, 2));
    try (CloseableIterable<Record> rows = IcebergGenerics.read(table).build()) {
      for (Record row : rows) System.out.println(row.get(0) + " " + row.get(1) + " " + row.get(2) + " " + row.get(3));
    }
  }
}
JAVA
cat > "$work/run.py" <<'PY'
import glob, json, os, subprocess, sys
import chdb, daft, duckdb, polars
from pyiceberg.table import StaticTable

folder = f"{os.getcwd()}/table"
java = subprocess.run(["java", "-cp", "libs/*", "Defaults.java", folder], check=True, capture_output=True, text=True)
metadata = f"{folder}/metadata/v4.metadata.json"
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
table = StaticTable.from_metadata(metadata)
chdb_rows = chdb.query(f"SELECT * FROM icebergLocal('{folder}') FORMAT JSONCompactEachRow").bytes().decode().splitlines()


def plain(rows):
    return sorted(tuple(str(value) for value in (row.values() if isinstance(row, dict) else row)) for row in rows)


found = {
    "java": plain(line.split() for line in java.stdout.splitlines()),
    "pyiceberg": plain(table.scan().to_arrow().to_pylist()),
    "polars": plain(polars.scan_iceberg(metadata).collect().rows()),
    "duckdb": plain(connection.execute(f"FROM iceberg_scan('{metadata}')").fetchall()),
    "daft": plain(daft.read_iceberg(table).to_pylist()),
    "chdb": plain(json.loads(row) for row in chdb_rows),
}
for reader, rows in found.items():
    print(f"{reader}: {rows}")
filtered = daft.read_iceberg(table).where(daft.col("currency") == "EUR").count_rows()
print(f"daft, currency = EUR: {filtered} rows")
conditions = ["amount = 7", "since = '2026-01-01'", "since != '2026-01-01'"]
by_pyiceberg = [sorted(table.scan(row_filter=one).to_arrow()["id"].to_pylist()) for one in conditions]
print(f"pyiceberg, ids: {dict(zip(conditions, by_pyiceberg))}")
after = ("2", "USD", "8", "2027-02-02")
right, wrong = [("1", "EUR", "7", "2026-01-01"), after], [("1", "None", "None", "None"), after]
as_described = [found[reader] for reader in found] == [right] * 4 + [wrong] * 2 and filtered == 0
sys.exit(0 if as_described and by_pyiceberg == [[1], [], [1, 2]] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
