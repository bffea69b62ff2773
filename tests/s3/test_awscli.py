"""The AWS command line: what people type."""

import os
import subprocess
import sys
from pathlib import Path

from gateway import Lake

COMMAND_SECONDS = 120


def aws(lake: Lake, *words: str, home: Path) -> str:
    command = [str(Path(sys.executable).with_name("aws")), "--endpoint-url", lake.endpoint, *words]
    environment = lake.environment | {"HOME": str(home), "PATH": "/usr/bin:/bin", "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, f"aws {' '.join(words)}: {done.stderr}"
    return done.stdout


def test_files_go_up_and_come_down(lake, tmp_path):
    tree = tmp_path / "tree"
    for name in ["a.csv", "b c/d+e.csv", "b c/größe.csv"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"the content of {name}\n")
    (tree / "large").write_bytes(b"0123456789abcdef" * (9 << 16))
    # Times of objects are whole seconds: a file of this very second would count as newer than its copy.
    for path in tree.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    aws(lake, "s3", "sync", str(tree), lake.url("tree"), home=tmp_path)
    listed = aws(lake, "s3", "ls", "--recursive", lake.url("tree/"), home=tmp_path)
    assert [line.split(maxsplit=3)[3] for line in listed.splitlines()] == [
        "main/tree/a.csv", "main/tree/b c/d+e.csv", "main/tree/b c/größe.csv", "main/tree/large",
    ]
    # What is there already is not sent again.
    assert "upload" not in aws(lake, "s3", "sync", str(tree), lake.url("tree"), home=tmp_path)
    aws(lake, "s3", "sync", lake.url("tree"), str(tmp_path / "back"), home=tmp_path)
    for path in tree.rglob("*"):
        if path.is_file():
            assert (tmp_path / "back" / path.relative_to(tree)).read_bytes() == path.read_bytes()
    aws(lake, "s3", "mv", lake.url("tree/a.csv"), lake.url("moved.csv"), home=tmp_path)
    aws(lake, "s3", "cp", "--recursive", lake.url("tree/b c/"), lake.url("copied/"), home=tmp_path)
    aws(lake, "s3", "rm", "--recursive", lake.url("tree/"), home=tmp_path)
    assert lake.keys() == ["main/copied/d+e.csv", "main/copied/größe.csv", "main/moved.csv"]
    assert "main/" in aws(lake, "s3", "ls", f"s3://{lake.name}/", home=tmp_path)
    assert lake.name in aws(lake, "s3", "ls", home=tmp_path)
    aws(lake, "s3", "mb", f"s3://{lake.name}-made", home=tmp_path)
    aws(lake, "s3", "cp", lake.url("moved.csv"), f"s3://{lake.name}-made/main/moved.csv", home=tmp_path)
    assert "moved.csv" in aws(lake, "s3", "ls", "--recursive", f"s3://{lake.name}-made", home=tmp_path)
