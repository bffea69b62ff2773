"""Hadoop's S3A, by the program in `java/`."""

import os
import subprocess

JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", os.environ.get("S3_CLASSPATH", "")]
COMMAND_SECONDS = 180


def test_hadoop_writes_renames_and_commits_jobs(lake):
    environment = os.environ | {"S3_ENDPOINT": lake.endpoint, "S3_KEY": lake.key, "S3_SECRET": lake.secret}
    done = subprocess.run(
        [*JVM, "Hadoop", f"s3a://{lake.name}/main/hadoop"],
        env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "done", done.stdout + done.stderr[-6000:]
    assert "Uploads" not in lake.boto3().list_multipart_uploads(Bucket=lake.name), "nothing is left behind"
    lake.commit()
