import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.mapreduce.JobContext;
import org.apache.hadoop.mapreduce.JobID;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.hadoop.mapreduce.TaskAttemptID;
import org.apache.hadoop.mapreduce.TaskID;
import org.apache.hadoop.mapreduce.TaskType;
import org.apache.hadoop.mapreduce.task.JobContextImpl;
import org.apache.hadoop.mapreduce.task.TaskAttemptContextImpl;
import org.apache.hadoop.fs.s3a.commit.magic.MagicS3GuardCommitter;
import org.apache.hadoop.util.ToolRunner;

/** Hadoop's S3A on a branch: files, folders, renames, large files, and a job by the magic committer. */
public final class Hadoop {
    private static final int LARGE = 12 << 20;

    public static void main(String[] arguments) throws Exception {
        Configuration settings = new Configuration();
        settings.set("fs.s3a.endpoint", System.getenv("S3_ENDPOINT"));
        settings.set("fs.s3a.endpoint.region", "us-east-1");
        settings.set("fs.s3a.access.key", System.getenv("S3_KEY"));
        settings.set("fs.s3a.secret.key", System.getenv("S3_SECRET"));
        settings.set("fs.s3a.path.style.access", "true");
        settings.set("fs.s3a.connection.ssl.enabled", "false");
        settings.set("fs.s3a.multipart.size", "5M");
        settings.set("fs.s3a.multipart.threshold", "5M");
        settings.set("fs.s3a.fast.upload.buffer", "array");
        settings.set("fs.s3a.attempts.maximum", "1");
        settings.set("fs.s3a.retry.limit", "1");
        Path branch = new Path(arguments[0]);
        try (FileSystem files = FileSystem.newInstance(branch.toUri(), settings)) {
            smallFiles(files, branch);
            largeFile(files, branch);
            folders(files, branch);
            job(files, settings, branch);
        }
        int status = ToolRunner.run(settings, new FsShell(), new String[] {"-ls", "-R", arguments[0]});
        check(status == 0, "FsShell");
        System.out.println("done");
    }

    private static void smallFiles(FileSystem files, Path branch) throws IOException {
        Path file = new Path(branch, "a b/größe+%25.csv");
        write(files, file, "id,amount\n");
        check(read(files, file).equals("id,amount\n"), "what was written");
        check(files.getFileStatus(file).getLen() == 10, "its length");
        try (FSDataInputStream in = files.open(file)) {
            in.seek(3);
            byte[] part = new byte[6];
            in.readFully(part);
            check(new String(part, StandardCharsets.UTF_8).equals("amount"), "a part of it");
        }
        try (FSDataOutputStream out = files.create(file, false)) {
            out.write(1);
            check(false, "a file that is there is not made again");
        } catch (FileAlreadyExistsException expected) {
            // As it should be.
        }
        try {
            files.open(new Path(branch, "none")).close();
            check(false, "a file that is not there");
        } catch (FileNotFoundException expected) {
            // As it should be.
        }
    }

    private static void largeFile(FileSystem files, Path branch) throws IOException {
        Path file = new Path(branch, "large");
        byte[] content = new byte[LARGE];
        for (int at = 0; at < LARGE; at++) {
            content[at] = (byte) (at * 31 + (at >> 13));
        }
        try (FSDataOutputStream out = files.create(file)) {
            out.write(content);
        }
        byte[] back = new byte[LARGE];
        try (FSDataInputStream in = files.open(file)) {
            in.readFully(0, back);
        }
        check(Arrays.equals(content, back), "a file of several parts");
    }

    private static void folders(FileSystem files, Path branch) throws IOException {
        Path folder = new Path(branch, "folder");
        check(files.mkdirs(new Path(folder, "deep/er")), "mkdirs");
        check(files.getFileStatus(new Path(folder, "deep")).isDirectory(), "a folder");
        for (int number = 0; number < 12; number++) {
            write(files, new Path(folder, "deep/" + number), "x" + number);
        }
        check(files.listStatus(new Path(folder, "deep")).length == 13, "what a folder has");
        Path moved = new Path(branch, "moved");
        check(files.rename(folder, moved), "rename of a folder");
        check(!files.exists(folder), "the old folder is gone");
        check(read(files, new Path(moved, "deep/11")).equals("x11"), "what was moved");
        check(files.rename(new Path(moved, "deep/0"), new Path(branch, "zero")), "rename of a file");
        check(files.delete(moved, true), "delete of a folder");
        check(names(files, branch).equals(Set.of("a b/größe+%25.csv", "large", "zero")), "what is left");
    }

    /** Two tasks of a job, one of them given up: as Spark and MapReduce commit by the magic committer. */
    private static void job(FileSystem files, Configuration settings, Path branch) throws Exception {
        Path output = new Path(branch, "output");
        settings.set("fs.s3a.committer.magic.enabled", "true");
        settings.set("mapreduce.job.committer.factory.class", "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory");
        settings.set("fs.s3a.committer.name", "magic");
        JobID id = new JobID("onward", 1);
        settings.set("fs.s3a.committer.uuid", "00000000-0000-0000-0000-000000000001");
        JobContext job = new JobContextImpl(settings, id);
        TaskAttemptContext[] tasks = new TaskAttemptContext[2];
        for (int number = 0; number < tasks.length; number++) {
            TaskAttemptID attempt = new TaskAttemptID(new TaskID(id, TaskType.REDUCE, number), 0);
            tasks[number] = new TaskAttemptContextImpl(settings, attempt);
        }
        MagicS3GuardCommitter committer = new MagicS3GuardCommitter(output, tasks[0]);
        committer.setupJob(job);
        for (int number = 0; number < tasks.length; number++) {
            MagicS3GuardCommitter worker = new MagicS3GuardCommitter(output, tasks[number]);
            worker.setupTask(tasks[number]);
            write(files, new Path(worker.getWorkPath(), "part-" + number), "part " + number);
            check(!files.exists(new Path(output, "part-" + number)), "nothing is there before the job commits");
            if (number == 0) {
                check(worker.needsTaskCommit(tasks[number]), "a task has something to commit");
                worker.commitTask(tasks[number]);
            } else {
                worker.abortTask(tasks[number]);
            }
        }
        committer.commitJob(job);
        check(read(files, new Path(output, "part-0")).equals("part 0"), "what the job committed");
        check(!files.exists(new Path(output, "part-1")), "what was given up");
        check(files.exists(new Path(output, "_SUCCESS")), "that it is done");
    }

    private static Set<String> names(FileSystem files, Path folder) throws IOException {
        Set<String> names = new TreeSet<>();
        RemoteIterator<LocatedFileStatus> found = files.listFiles(folder, true);
        String root = files.makeQualified(folder).toString() + "/";
        while (found.hasNext()) {
            names.add(found.next().getPath().toString().substring(root.length()));
        }
        return names;
    }

    private static void write(FileSystem files, Path file, String content) throws IOException {
        try (FSDataOutputStream out = files.create(file)) {
            out.write(content.getBytes(StandardCharsets.UTF_8));
        }
    }

    private static String read(FileSystem files, Path file) throws IOException {
        try (FSDataInputStream in = files.open(file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
