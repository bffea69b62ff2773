"""Tools that move files: rclone and s5cmd."""

import os
import subprocess
import sys
from pathlib import Path

from gateway import Lake

COMMAND_SECONDS = 120


def run(lake: Lake, tool: str, *words: str, home: Path, **more: str) -> str:
    environment = lake.environment | more | {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = [str(Path(sys.executable).with_name(tool)), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, f"{tool} {' '.join(words)}: {done.stdout} {done.stderr}"
    return done.stdout


def rclone(lake: Lake, *words: str, home: Path, **more: str) -> str:
    settings = {
        "RCLONE_CONFIG": str(home / "rclone.conf"),
        "RCLONE_CONFIG_LAKE_TYPE": "s3",
        "RCLONE_CONFIG_LAKE_PROVIDER": "Other",
        "RCLONE_CONFIG_LAKE_ENDPOINT": lake.endpoint,
        "RCLONE_CONFIG_LAKE_ENV_AUTH": "true",
        "RCLONE_CONFIG_LAKE_REGION": "us-east-1",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }
    return run(lake, "rclone", *words, home=home, **settings, **more)


def tree_of(folder: Path) -> Path:
    tree = folder / "tree"
    for name in ["a.csv", "b c/d+e.csv", "b c/größe.csv", "deep/er/f"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"the content of {name}\n")
    (tree / "large").write_bytes(os.urandom(12 << 20))
    return tree


def test_rclone_syncs_and_checks_both_ways(lake, tmp_path):
    tree = tree_of(tmp_path)
    there = f"lake:{lake.name}/main/tree"
    parts = ["--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi"]
    rclone(lake, "sync", str(tree), there, *parts, home=tmp_path)
    rclone(lake, "check", str(tree), there, home=tmp_path)
    rclone(lake, "check", "--download", str(tree), there, home=tmp_path)
    rclone(lake, "sync", "--immutable", str(tree), there, *parts, home=tmp_path)
    rclone(lake, "moveto", f"{there}/a.csv", f"{there}/moved.csv", home=tmp_path)
    rclone(lake, "copy", there, f"lake:{lake.name}/main/again", home=tmp_path)
    rclone(lake, "check", there, f"lake:{lake.name}/main/again", home=tmp_path)
    rclone(lake, "sync", f"lake:{lake.name}/main/again", str(tmp_path / "back"), home=tmp_path)
    rclone(lake, "check", str(tmp_path / "back"), there, home=tmp_path)
    rclone(lake, "purge", f"lake:{lake.name}/main/again", home=tmp_path)
    listed = rclone(lake, "lsf", "-R", "--files-only", f"lake:{lake.name}/main", home=tmp_path).split("\n")
    assert sorted(filter(None, listed)) == ["tree/b c/d+e.csv", "tree/b c/größe.csv", "tree/deep/er/f", "tree/large", "tree/moved.csv"]
    # By the first version of listings, and as older rclones did.
    rclone(lake, "check", there, str(tmp_path / "back"), "--s3-list-version", "1", home=tmp_path)
    # What was committed can be copied from, and not written.
    lake.commit()
    rclone(lake, "check", str(tmp_path / "back"), f"lake:{lake.name}/main@/tree", home=tmp_path)


def test_s5cmd_copies_and_removes_many(lake, tmp_path):
    tree = tree_of(tmp_path)
    run(lake, "s5cmd", "cp", f"{tree}/", lake.url("tree/"), home=tmp_path, S3_ENDPOINT_URL=lake.endpoint)
    listed = run(lake, "s5cmd", "ls", lake.url("tree/*"), home=tmp_path, S3_ENDPOINT_URL=lake.endpoint)
    assert len(listed.splitlines()) == 5
    run(lake, "s5cmd", "cp", lake.url("tree/*"), f"{tmp_path}/back/", home=tmp_path, S3_ENDPOINT_URL=lake.endpoint)
    assert (tmp_path / "back/large").read_bytes() == (tree / "large").read_bytes()
    run(lake, "s5cmd", "mv", lake.url("tree/a.csv"), lake.url("moved.csv"), home=tmp_path, S3_ENDPOINT_URL=lake.endpoint)
    run(lake, "s5cmd", "rm", lake.url("tree/*"), home=tmp_path, S3_ENDPOINT_URL=lake.endpoint)
    assert lake.keys() == ["main/moved.csv"]
