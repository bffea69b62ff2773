#!/bin/bash
# Equality deletes of Iceberg, as Flink writes them for upserts: "whose id is 1 is deleted". duckdb 1.5.5 and chdb 4.4.0
# (ClickHouse 26.9) take rows along whose id is null (Iceberg's specification, Equality Delete Files: null matches
# null only; apache/iceberg-rust#2780 was the same there). duckdb applies a delete of one partition to all partitions,
# too (duckdb-iceberg#1240 mends that, not in 1.5.5). The tables are written by Iceberg's own Java, 1.12.0, which reads
# them right; pyiceberg 0.12.0, which polars and daft ask, refuses such tables.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  chdb==4.4.0 chdb-core==26.9.0 'pyiceberg[pyarrow]==0.12.0' pyarrow==26.0.1
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
cat > "$work/Tables.java" <<'JAVA'
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.*;
import org.apache.iceberg.data.*;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.data.parquet.GenericParquetWriter;
import org.apache.iceberg.deletes.EqualityDeleteWriter;
import org.apache.iceberg.hadoop.HadoopTables;
import org.apache.iceberg.io.*;
import org.apache.iceberg.parquet.Parquet;
import org.apache.iceberg.types.Types;

public class Tables {
  static final Schema ROWS = new Schema(
      Types.NestedField.optional(1, "id", Types.IntegerType.get()),
      Types.NestedField.optional(2, "place", Types.StringType.get()));
  static final Schema KEY = ROWS.select("id");
  static int files = 0;

  static Record row(Schema schema, Object... values) {
    Record row = GenericRecord.create(schema);
    for (int i = 0; i < values.length; i++) row.set(i, values[i]);
    return row;
  }

  static OutputFile file(Table table) {
    return table.io().newOutputFile(table.location() + "/data/" + files++ + ".parquet");
  }

  static StructLike partition(Table table, String place) {
    if (table.spec().isUnpartitioned()) return null;
    PartitionData partition = new PartitionData(table.spec().partitionType());
    partition.set(0, place);
    return partition;
  }

  static DataFile rows(Table table, String place, Integer... ids) throws Exception {
    DataWriter<Record> writer = Parquet.writeData(file(table)).schema(ROWS).createWriterFunc(GenericParquetWriter::create)
        .withSpec(table.spec()).withPartition(partition(table, place)).build();
    try (writer) {
      for (Integer id : ids) writer.write(row(ROWS, id, place));
    }
    return writer.toDataFile();
  }

  static DeleteFile delete(Table table, String place, Integer id) throws Exception {
    EqualityDeleteWriter<Record> writer = Parquet.writeDeletes(file(table)).forTable(table).rowSchema(KEY)
        .createWriterFunc(GenericParquetWriter::create).withPartition(partition(table, place)).equalityFieldIds(1)
        .buildEqualityWriter();
    try (writer) {
      writer.write(row(KEY, id));
    }
    return writer.toDeleteFile();
  }

  static Table create(String folder, PartitionSpec spec) {
    return new HadoopTables(new Configuration()).create(ROWS, spec, Map.of("format-version", "2"), folder);
  }

  static void tell(Table table) throws Exception {
    List<String> found = new ArrayList<>();
    try (CloseableIterable<Record> rows = IcebergGenerics.read(table).build()) {
      for (Record row : rows) found.add(row.get(0) + "@" + row.get(1));
    }
    Collections.sort(found);
    System.out.println(table.location() + " " + String.join(",", found));
  }

  public static void main(String[] folder) throws Exception {
    Table nulls = create(folder[0] + "/nulls", PartitionSpec.unpartitioned());
    nulls.newAppend().appendFile(rows(nulls, "a", 1, 2, null)).commit();
    nulls.newRowDelta().addDeletes(delete(nulls, "a", 1)).commit();
    tell(nulls);
    Table places = create(folder[0] + "/places", PartitionSpec.builderFor(ROWS).identity("place").build());
    places.newAppend().appendFile(rows(places, "a", 1, 2)).appendFile(rows(places, "b", 1, 2)).commit();
    places.newRowDelta().addDeletes(delete(places, "a", 1)).commit();
    tell(places);
  }
}
JAVA
cat > "$work/run.py" <<'PY'
import glob, os, subprocess, sys
import chdb, duckdb
from pyiceberg.table import StaticTable

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
ROW = "concat(coalesce({text}, 'null'), '@', place)"


def by_pyiceberg(metadata):
    try:
        return [f"{row['id']}@{row['place']}" for row in StaticTable.from_metadata(metadata).scan().to_arrow().to_pylist()]
    except ValueError as error:
        assert "equality deletes" in str(error)
        return "refused"


java = subprocess.run(["java", "-cp", "libs/*", "Tables.java", os.getcwd()], check=True, capture_output=True, text=True)
seen = {}
for folder, rows in (line.split() for line in java.stdout.splitlines()):
    metadata = f"{folder}/metadata/v3.metadata.json"
    sql, click = (ROW.format(text=text) for text in ["id::VARCHAR", "toString(id)"])
    found = {
        "java": rows.split(","),
        "duckdb": sorted(row for (row,) in connection.execute(f"SELECT {sql} FROM iceberg_scan('{metadata}')").fetchall()),
        "chdb": sorted(chdb.query(f"SELECT {click} FROM icebergLocal('{folder}')", "TSV").bytes().decode().split()),
        "pyiceberg": by_pyiceberg(metadata),
    }
    print(f"{os.path.basename(folder)}: {found}")
    seen[os.path.basename(folder)] = list(found.values())
nulls, places = ["2@a", "null@a"], ["1@b", "2@a", "2@b"]
as_described = seen["nulls"] == [nulls, ["2@a"], ["2@a"], "refused"]
as_described &= seen["places"] == [places, ["2@a", "2@b"], places, "refused"]
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
