import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.iceberg.BaseTransaction;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.FileMetadata;
import org.apache.iceberg.GenericBlobMetadata;
import org.apache.iceberg.GenericStatisticsFile;
import org.apache.iceberg.Metrics;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.PendingUpdate;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.SnapshotAncestryValidator;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.TableCommit;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.deletes.BaseDVFileWriter;
import org.apache.iceberg.exceptions.CommitFailedException;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.io.OutputFileFactory;
import org.apache.iceberg.puffin.Blob;
import org.apache.iceberg.puffin.Puffin;
import org.apache.iceberg.rest.RESTCatalog;
import org.apache.iceberg.types.Conversions;
import org.apache.iceberg.types.Types;

/**
 * Commits files to a table, one commit each, by several threads.
 *
 * <p>`Writers NAMESPACE.TABLE THREADS [PROPERTY=VALUE…]` reads lines `OPERATION PATH BYTES RECORDS KEY` (with tabs),
 * and prints for each `ok PATH` or `failed PATH EXCEPTION`, and at the end `deleted PATH` for what the client
 * deleted.
 */
public final class Writers {
  private static final String KEY = "writer-key";
  private static final int LOGINS = 40;
  private static final int TRIES = 20;

  private record Task(String operation, String path, long bytes, long records, long key) {}

  private Writers() {}

  public static void main(String[] arguments) throws Exception {
    TableIdentifier name = TableIdentifier.parse(arguments[0]);
    int threads = Integer.parseInt(arguments[1]);
    Map<String, String> properties = new HashMap<>();
    for (int at = 2; at < arguments.length; at++) {
      String[] parts = arguments[at].split("=", 2);
      properties.put(parts[0], parts[1]);
    }
    ConcurrentLinkedQueue<Task> tasks = new ConcurrentLinkedQueue<>();
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      String[] part = lines.nextLine().split("\t");
      tasks.add(new Task(part[0], part[1], Long.parseLong(part[2]), Long.parseLong(part[3]), Long.parseLong(part[4])));
    }
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    List<Future<?>> running = new ArrayList<>();
    for (int thread = 0; thread < threads; thread++) {
      running.add(pool.submit(() -> work(name, properties, tasks)));
    }
    for (Future<?> one : running) {
      one.get();
    }
    pool.shutdown();
    LocalFiles.DELETED.forEach(path -> say("deleted", path));
  }

  private static Void work(TableIdentifier name, Map<String, String> properties, ConcurrentLinkedQueue<Task> tasks)
      throws Exception {
    try (RESTCatalog catalog = login(properties)) {
      for (Task task = tasks.poll(); task != null; task = tasks.poll()) {
        try {
          if (task.operation().equals("both")) {
            both(catalog, name, task);
          } else {
            commit(catalog.loadTable(name), task);
          }
          say("ok", task.path());
        } catch (RuntimeException error) {
          say("failed", task.path(), error.toString().replaceAll("\\s+", " "));
        }
      }
    }
    return null;
  }

  /** A client that begins while the server is away begins again: no commit of its own is at stake. */
  private static RESTCatalog login(Map<String, String> properties) throws InterruptedException {
    for (int tries = 1; ; tries++) {
      try {
        return Login.catalog(properties);
      } catch (RuntimeException error) {
        if (tries == LOGINS) {
          throw error;
        }
        Thread.sleep(250);
      }
    }
  }

  private static void commit(Table table, Task task) {
    PendingUpdate<?> update =
        switch (task.operation()) {
          case "append" -> table.newAppend().appendFile(rows(table, task));
          case "fast" -> table.newFastAppend().appendFile(rows(table, task));
          case "once" ->
              table.newAppend().appendFile(rows(table, task)).set(KEY, "" + task.key()).validateWith(once(task.key()));
          case "row-delta" -> rowDelta(table, task);
          case "overwrite" -> overwrite(table, task);
          case "delete" -> table.newDelete().deleteFile(task.path());
          case "delete-rows" -> deleteRows(table, task);
          case "vector" -> vector(table, task);
          case "statistics" -> statistics(table, task);
          default -> throw new IllegalArgumentException(task.operation());
        };
    update.commit();
  }

  /** Adds a file to the table and to the one with a 2 behind its name, in one transaction. */
  private static void both(RESTCatalog catalog, TableIdentifier name, Task task) {
    var second = TableIdentifier.of(name.namespace(), name.name() + "2");
    for (int tries = 1; ; tries++) {
      List<TableCommit> commits = new ArrayList<>();
      for (TableIdentifier one : List.of(name, second)) {
        Table table = catalog.loadTable(one);
        var transaction = (BaseTransaction) table.newTransaction();
        transaction.newFastAppend().appendFile(rows(table, task)).commit();
        commits.add(TableCommit.create(one, transaction.startMetadata(), transaction.currentMetadata()));
      }
      try {
        catalog.commitTransaction(commits);
        return;
      } catch (CommitFailedException error) {
        // The client does not try again by itself, as it does for one table.
        if (tries == TRIES) {
          throw error;
        }
      }
    }
  }

  /** Adds a key's file where nobody has added one since the table was loaded. */
  private static PendingUpdate<?> rowDelta(Table table, Task task) {
    var update =
        table.newRowDelta().addRows(rows(table, task)).conflictDetectionFilter(Expressions.equal("key", task.key()));
    Snapshot base = table.currentSnapshot();
    if (base != null) {
      update.validateFromSnapshot(base.snapshotId());
    }
    return update.validateNoConflictingDataFiles().validateNoConflictingDeleteFiles();
  }

  private static PendingUpdate<?> overwrite(Table table, Task task) {
    var key = Expressions.equal("key", task.key());
    var update = table.newOverwrite().addFile(rows(table, task)).conflictDetectionFilter(key);
    Snapshot base = table.currentSnapshot();
    if (base != null) {
      update.validateFromSnapshot(base.snapshotId());
    }
    return update.validateNoConflictingData().validateNoConflictingDeletes();
  }

  /** Adds a file of deleted positions. */
  private static PendingUpdate<?> deleteRows(Table table, Task task) {
    var file =
        FileMetadata.deleteFileBuilder(PartitionSpec.unpartitioned())
            .ofPositionDeletes()
            .withPath(task.path())
            .withFormat(FileFormat.PARQUET)
            .withFileSizeInBytes(task.bytes())
            .withRecordCount(task.records())
            .build();
    return table.newRowDelta().addDeletes(file);
  }

  /** Deletes the first rows of a file by a vector, which is what tables of version 3 have for that. */
  private static PendingUpdate<?> vector(Table table, Task task) {
    var files = OutputFileFactory.builderFor(table, 1, task.key()).format(FileFormat.PUFFIN).build();
    var writer = new BaseDVFileWriter(files, path -> null);
    try (writer) {
      for (long row = 0; row < task.records(); row++) {
        writer.delete(task.path(), row, table.spec(), null);
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    var update = table.newRowDelta();
    writer.result().deleteFiles().forEach(update::addDeletes);
    return update;
  }

  /** Says statistics of the present snapshot, in a Puffin file of one blob. */
  private static PendingUpdate<?> statistics(Table table, Task task) {
    Snapshot now = table.currentSnapshot();
    var blob = new Blob("apache-datasketches-theta-v1", List.of(1), now.snapshotId(), now.sequenceNumber(), ByteBuffer.wrap(new byte[8]));
    try (var writer = Puffin.write(table.io().newOutputFile(task.path())).createdBy("a test").build()) {
      writer.add(blob);
      writer.finish();
      var blobs = writer.writtenBlobsMetadata().stream().map(GenericBlobMetadata::from).toList();
      var file =
          new GenericStatisticsFile(
              now.snapshotId(), task.path(), writer.fileSize(), writer.footerSize(), List.copyOf(blobs));
      return table.updateStatistics().setStatistics(file);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static SnapshotAncestryValidator once(long key) {
    return new SnapshotAncestryValidator() {
      @Override
      public boolean validate(Iterable<Snapshot> base) {
        for (Snapshot snapshot : base) {
          if (("" + key).equals(snapshot.summary().get(KEY))) {
            return false;
          }
        }
        return true;
      }

      @Override
      public String errorMessage() {
        return "key " + key + " is there";
      }
    };
  }

  private static DataFile rows(Table table, Task task) {
    ByteBuffer bound = Conversions.toByteBuffer(Types.LongType.get(), task.key());
    int id = table.schema().findField("key").fieldId();
    var metrics =
        new Metrics(
            task.records(),
            null,
            Map.of(id, task.records()),
            Map.of(id, 0L),
            null,
            Map.of(id, bound),
            Map.of(id, bound));
    return DataFiles.builder(PartitionSpec.unpartitioned())
        .withPath(task.path())
        .withFormat(FileFormat.PARQUET)
        .withFileSizeInBytes(task.bytes())
        .withMetrics(metrics)
        .build();
  }

  private static synchronized void say(String... parts) {
    System.out.println(String.join("\t", parts));
  }
}
