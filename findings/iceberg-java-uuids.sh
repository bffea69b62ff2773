#!/bin/bash
# Iceberg's own Java 1.12.0 compares UUIDs as two signed numbers when it asks which files a filter needs, and the bounds in
# manifests, its own too, are by unsigned bytes, as Parquet's are. In a file with UUIDs that begin with 1 and with f the
# upper bound counts as less than the lower one, and no filter finds any row: not id = X, for any row of the file, not
# id >= the least. Half of all random UUIDs begin with 8 or more, so nearly every file is such a one
# (apache/iceberg#14216, open). pyiceberg 0.12.0 and duckdb 1.5.5 find the rows in the same table.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  'pyiceberg[pyarrow]==0.12.0' pyarrow==26.0.1
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
cat > "$work/Uuids.java" <<'JAVA'
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.*;
import org.apache.iceberg.data.*;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.data.parquet.GenericParquetWriter;
import org.apache.iceberg.expressions.*;
import org.apache.iceberg.hadoop.HadoopTables;
import org.apache.iceberg.io.*;
import org.apache.iceberg.parquet.Parquet;
import org.apache.iceberg.types.Types;

public class Uuids {
  static int count(Table table, Expression filter) throws Exception {
    int rows = 0;
    try (CloseableIterable<Record> found = IcebergGenerics.read(table).where(filter).build()) {
      for (Record row : found) rows++;
    }
    return rows;
  }

  public static void main(String[] folderAndIds) throws Exception {
    String folder = folderAndIds[0];
    Schema schema = new Schema(Types.NestedField.required(1, "id", Types.UUIDType.get()));
    Table table = new HadoopTables(new Configuration()).create(schema, PartitionSpec.unpartitioned(), Map.of(), folder);
    DataWriter<Record> writer = Parquet.writeData(table.io().newOutputFile(folder + "/data/rows.parquet")).schema(schema)
        .createWriterFunc(GenericParquetWriter::create).withSpec(table.spec()).build();
    List<UUID> ids = Arrays.stream(folderAndIds).skip(1).map(UUID::fromString).toList();
    try (writer) {
      for (UUID id : ids) {
        Record row = GenericRecord.create(schema);
        row.set(0, id);
        writer.write(row);
      }
    }
    table.newAppend().appendFile(writer.toDataFile()).commit();
    System.out.println(count(table, Expressions.alwaysTrue()));
    for (UUID id : ids) System.out.println(count(table, Expressions.equal("id", id)));
    System.out.println(count(table, Expressions.greaterThanOrEqual("id", ids.get(0))));
  }
}
JAVA
cat > "$work/run.py" <<'PY'
import glob, os, subprocess, sys
import duckdb
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual
from pyiceberg.table import StaticTable

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")


def seen(name, firsts):
    """How many rows a scan, a filter by each of the UUIDs, and one by all from the least on find."""
    folder, ids = f"{os.getcwd()}/{name}", [f"{first}0000000-0000-4000-8000-000000000000" for first in firsts]
    java = subprocess.run(["java", "-cp", "libs/*", "Uuids.java", folder, *ids], check=True, capture_output=True, text=True)
    metadata = f"{folder}/metadata/v2.metadata.json"
    table = StaticTable.from_metadata(metadata)
    scan = f"SELECT count(*) FROM iceberg_scan('{metadata}')"
    filters = ["true", *(f"id = '{one}'" for one in ids), f"id >= '{ids[0]}'"]
    found = {
        "java": [int(line) for line in java.stdout.split()],
        "pyiceberg": [
            table.scan(**({"row_filter": one} if one else {})).to_arrow().num_rows
            for one in [None, *(EqualTo("id", one) for one in ids), GreaterThanOrEqual("id", ids[0])]
        ],
        "duckdb": [connection.execute(f"{scan} WHERE {one}").fetchone()[0] for one in filters],
    }
    print(f"{name}: {found}")
    return list(found.values())


mixed, low = seen("from_1_to_f", "15f"), seen("from_1_to_7", "157")
right = [3, 1, 1, 1, 3]
sys.exit(0 if mixed == [[3, 0, 0, 0, 0], right, right] and low == [right] * 3 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
