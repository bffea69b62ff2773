import java.io.File;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.iceberg.Files;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.io.InputFile;
import org.apache.iceberg.io.OutputFile;
import org.apache.iceberg.io.PositionOutputStream;
import org.apache.iceberg.io.SeekableInputStream;

/** Files of this machine under the locations that a catalog gives, without Hadoop; keeps what was deleted. */
public class LocalFiles implements FileIO {
  static final Queue<String> DELETED = new ConcurrentLinkedQueue<>();

  private static File file(String location) {
    return new File(location.replaceFirst("^file:/+", "/"));
  }

  @Override
  public InputFile newInputFile(String location) {
    InputFile file = Files.localInput(file(location));
    return new InputFile() {
      @Override
      public long getLength() {
        return file.getLength();
      }

      @Override
      public SeekableInputStream newStream() {
        return file.newStream();
      }

      @Override
      public String location() {
        return location;
      }

      @Override
      public boolean exists() {
        return file.exists();
      }
    };
  }

  @Override
  public OutputFile newOutputFile(String location) {
    File at = file(location);
    return new OutputFile() {
      private OutputFile made() {
        at.getParentFile().mkdirs();
        return Files.localOutput(at);
      }

      @Override
      public PositionOutputStream create() {
        return made().create();
      }

      @Override
      public PositionOutputStream createOrOverwrite() {
        return made().createOrOverwrite();
      }

      @Override
      public String location() {
        return location;
      }

      @Override
      public InputFile toInputFile() {
        return newInputFile(location);
      }
    };
  }

  @Override
  public void deleteFile(String location) {
    DELETED.add(location);
    file(location).delete();
  }
}
