"""lakectl, the command line of lakeFS. `scripts/test-clients --lakectl` builds it."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import changes, commit, content, namespace, put, read

LAKECTL = os.environ.get("ONWARD_TEST_LAKECTL", "")
COMMAND_SECONDS = 120

pytestmark = pytest.mark.skipif(
    not os.access(LAKECTL, os.X_OK), reason="lakectl is not built: run scripts/test-clients --lakectl"
)


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.out.splitlines() if line.strip()]


def run(*arguments: object, answer: str = "", **environment: str) -> Said:
    # The address and the key are in the environment that scripts/test-clients sets.
    done = subprocess.run(
        [LAKECTL, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        env=os.environ | {"NO_COLOR": "1"} | environment,
        input=answer,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def lakectl(*arguments: object) -> Said:
    """Runs a command that must succeed, and without a word on stderr: warnings are failures here."""
    said = run(*arguments)
    assert said.code == 0, said
    assert not said.err, said
    return said


def refused(why: str, *arguments: object) -> None:
    """Runs a command that must fail and say why."""
    said = run(*arguments)
    assert said.code == 1, said
    assert why in said.err, said


@pytest.fixture
def at(repo) -> str:
    return f"lakefs://{repo.id}"


def test_repositories(client, new_name):
    name = new_name()
    said = lakectl("repo", "create", f"lakefs://{name}", namespace(name), "-d", "trunk")
    assert f"Repository '{name}' created:" in said.out
    assert "default branch: trunk" in said.out
    refused("409 Conflict", "repo", "create", f"lakefs://{name}", namespace(name))
    listed = [line.split("\t")[:3:2] for line in lakectl("repo", "list", "--amount", "1000").lines]
    assert [name, "trunk"] in listed
    lakectl("repo", "delete", f"lakefs://{name}", "--yes")
    assert name not in lakectl("repo", "list", "--amount", "1000").out


def test_branches(repo, main, at):
    head = commit(main, {"a": b"1"})
    assert lakectl("branch", "create", f"{at}/side", "-s", f"{at}/main").lines[-1] == f"created branch 'side' {head}"
    assert lakectl("branch", "list", at).lines == [f"main\t{head}", f"side\t{head}"]
    assert lakectl("branch", "show", f"{at}/side").lines[-1] == f"Commit ID: {head}"
    refused("409 Conflict", "branch", "create", f"{at}/side", "-s", f"{at}/main")
    refused("404 Not Found", "branch", "show", f"{at}/none")
    lakectl("branch", "delete", f"{at}/side", "--yes")
    assert [branch.id for branch in repo.branches()] == ["main"]


def test_branch_reset(main, at):
    commit(main, {"a/1": b"1", "a/2": b"1", "b": b"1", "c": b"1"})
    put(main, dict.fromkeys(("a/1", "a/2", "b", "c"), b"2"))
    lakectl("branch", "reset", f"{at}/main", "--object", "b", "--yes")
    assert changes(main.uncommitted()) == [("changed", "a/1"), ("changed", "a/2"), ("changed", "c")]
    lakectl("branch", "reset", f"{at}/main", "--prefix", "a/", "--yes")
    assert changes(main.uncommitted()) == [("changed", "c")]
    lakectl("branch", "reset", f"{at}/main", "--yes")
    assert set(content(main).values()) == {b"1"}


def test_branch_revert(main, at):
    commit(main, {"a": b"1"})
    first = commit(main, {"a": b"2"})
    second = commit(main, {"b": b"2"})
    said = lakectl("branch", "revert", f"{at}/main", second, first, "--yes")
    assert said.lines[1:] == [f"commit {second} successfully reverted", f"commit {first} successfully reverted"]
    assert content(main) == {"a": b"1"}


@pytest.fixture
def folder(source) -> Path:
    for name, data in {"one": b"1\n", "in/two": b"22\n", "in/empty": b""}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    return source


def test_one_file_goes_up_and_comes_down(main, at, folder, tmp_path):
    said = lakectl("fs", "upload", f"{at}/main/dir/one", "-s", folder / "one", "--content-type", "text/plain")
    stat = main.object("dir/one").stat()
    for line in ["Path: dir/one", "Size: 2 bytes", f"Checksum: {stat.checksum}", "Content-Type: text/plain"]:
        assert line in said.lines
        assert line in lakectl("fs", "stat", f"{at}/main/dir/one").lines
    assert lakectl("fs", "cat", f"{at}/main/dir/one").out == "1\n"
    lakectl("fs", "download", f"{at}/main/dir/one", tmp_path / "down")
    assert (tmp_path / "down" / "one").read_bytes() == b"1\n"
    refused("404 Not Found", "fs", "stat", f"{at}/main/none")
    refused("404 Not Found", "fs", "cat", f"{at}/main/none")


def test_a_folder_goes_up_and_comes_down(main, at, folder, tmp_path):
    os.utime(folder / "one", (1_500_000_000, 1_500_000_000))
    assert "Uploaded: 3" in lakectl("fs", "upload", "-r", f"{at}/main/dir/", "-s", folder).lines
    assert content(main) == {"dir/in/empty": b"", "dir/in/two": b"22\n", "dir/one": b"1\n"}
    lakectl("commit", f"{at}/main", "-m", "the folder")
    assert "Downloaded: 3" in lakectl("fs", "download", "-r", f"{at}/main/dir/", tmp_path / "down").lines
    assert (tmp_path / "down" / "in" / "two").read_bytes() == b"22\n"
    # The time of the local file goes along as metadata of lakectl's own.
    assert (tmp_path / "down" / "one").stat().st_mtime == 1_500_000_000
    assert main.object("dir/one").stat().metadata == {"::lakefs::client-mtime": "1500000000"}
    # What has not changed is not sent again.
    (folder / "in" / "two").write_bytes(b"changed\n")
    assert "Uploaded: 1" in lakectl("fs", "upload", "-r", f"{at}/main/dir/", "-s", folder).lines
    assert changes(main.uncommitted()) == [("changed", "dir/in/two")]


def test_fs_ls(main, at):
    put(main, {"a/1": b"", "a/b/2": b"22", "top": b"333"} | {f"n/{number:03}": b"" for number in range(250)})
    listed = [(line.split()[0], line.split()[-1]) for line in lakectl("fs", "ls", f"{at}/main/").lines]
    assert listed == [("common_prefix", "a/"), ("common_prefix", "n/"), ("object", "top")]
    listed = [(line.split()[0], line.split()[-1]) for line in lakectl("fs", "ls", f"{at}/main/a/").lines]
    assert listed == [("object", "1"), ("common_prefix", "b/")]
    listed = [line.split()[-1] for line in lakectl("fs", "ls", "-r", f"{at}/main/n/").lines]
    assert listed == [f"n/{number:03}" for number in range(250)]


def test_fs_rm(main, at):
    put(main, {"one": b"", "keep": b""} | {f"dir/{number:03}": b"" for number in range(150)})
    main.commit("all")
    lakectl("fs", "rm", f"{at}/main/one")
    lakectl("fs", "rm", "-r", f"{at}/main/dir/")
    assert list(content(main)) == ["keep"]


def test_fs_stage(main, at, folder):
    lakectl(
        "fs", "stage", f"{at}/main/staged", "--location", (folder / "one").as_uri(), "--size", 2, "--checksum", "abc",
        "--content-type", "text/plain", "--meta", "k=v",
    )  # fmt: skip
    stat = main.object("staged").stat()
    assert (stat.checksum, stat.size_bytes, stat.content_type, stat.metadata) == ("abc", 2, "text/plain", {"k": "v"})
    assert read(main, "staged") == b"1\n"


def test_commit_log_and_show(main, at):
    main.object("a").upload(b"1")
    before = main.head.id
    said = lakectl("commit", f"{at}/main", "-m", "the first", "--meta", "k=v,l=w")
    made = main.get_commit()
    assert (made.message, made.metadata, made.parents) == ("the first", {"k": "v", "l": "w"}, [before])
    assert f"ID: {made.id}" in said.lines
    commit(main, {"b": b"1"}, "the second")

    log = lakectl("log", f"{at}/main").out
    assert re.findall(r"^ID: +(\w+)$", log, re.M) == [main.head.id, made.id, before]
    assert re.search(r"^\tk += v$", log, re.M)
    assert re.findall(r"^ID: +(\w+)$", lakectl("log", f"{at}/main", "--amount", 1).out, re.M) == [main.head.id]
    assert re.findall(r"^ID: +(\w+)$", lakectl("log", f"{at}/main", "--objects", "a").out, re.M) == [made.id]
    dot = lakectl("log", "--dot", f"{at}/main").out
    assert dot.startswith("digraph {") and f'"{made.id}" -> "{main.head.id}"' in dot
    shown = lakectl("show", "commit", f"{at}/main~1").out
    assert made.id in shown and "the first" in shown
    refused("no changes", "commit", f"{at}/main", "-m", "nothing")


def test_diff_and_merge(repo, main, at):
    base = commit(main, {"a": b"1", "b": b"1"})
    side = repo.branch("side").create("main")
    put(side, {"a": b"2", "c": b"2"})
    side.object("b").delete()
    assert lakectl("diff", f"{at}/side").lines[1:] == ["~ modified a", "- removed b", "+ added c"]
    side.commit("side")
    commit(main, {"d": b"main"})
    assert lakectl("diff", f"{at}/main", f"{at}/side").lines[2:] == ["~ modified a", "- removed b", "+ added c"]
    assert lakectl("diff", "--two-way", f"{at}/main", f"{at}/side").lines[-1] == "- removed d"
    assert f'Found base "{base}"' in lakectl("find-merge-base", f"{at}/side", f"{at}/main").out
    said = lakectl("merge", f"{at}/side", f"{at}/main")
    assert f'Merged "side" into "main" to get "{main.head.id}".' in said.lines
    assert content(main) == {"a": b"2", "c": b"2", "d": b"main"}
    refused("no changes", "merge", f"{at}/side", f"{at}/main")


def test_a_merge_with_a_conflict(repo, main, at):
    commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"a": b"side"})
    commit(main, {"a": b"main"})
    refused("Conflict found.", "merge", f"{at}/side", f"{at}/main")
    assert content(main) == {"a": b"main"}
    lakectl("merge", f"{at}/side", f"{at}/main", "--strategy", "source-wins")
    assert content(main) == {"a": b"side"}


def test_cherry_pick(repo, main, at):
    side = repo.branch("side").create("main")
    commit(side, {"a": b"1"})
    wanted = commit(side, {"b": b"1"}, "wanted")
    said = lakectl("cherry-pick", f"{at}/{wanted}", f"{at}/main")
    assert f"ID: {main.head.id}" in said.lines
    assert "Message: wanted" in said.lines
    assert content(main) == {"b": b"1"}


def test_tags(repo, main, at):
    head = commit(main, {"a": b"1"})
    lakectl("tag", "create", f"{at}/v1", f"{at}/main")
    assert lakectl("tag", "list", at).lines == [f"v1\t{head}"]
    assert head in lakectl("tag", "show", f"{at}/v1").out
    refused("409 Conflict", "tag", "create", f"{at}/v1", f"{at}/main")
    moved = commit(main, {"a": b"2"})
    lakectl("tag", "create", "--force", f"{at}/v1", f"{at}/main")
    assert repo.tag("v1").get_commit().id == moved
    # This version asks whether it is meant, and has no option that says so.
    assert run("tag", "delete", f"{at}/v1", answer="y\n").code == 0
    assert list(repo.tags()) == []


def test_import(main, at, folder):
    said = lakectl(
        "import", "--no-progress", "--from", f"{folder.as_uri()}/", "--to", f"{at}/main/raw/", "-m", "brought in"
    )
    assert 'Import of 3 object(s) into "main" completed.' in said.lines
    assert f"Commit ID: {main.head.id}" in said.lines
    assert main.get_commit().message == "brought in"
    assert content(main) == {"raw/in/empty": b"", "raw/in/two": b"22\n", "raw/one": b"1\n"}


def test_an_import_from_a_folder_that_is_not_allowed(main, at, tmp_path):
    head = main.head.id
    refused("403 Forbidden", "import", "--no-progress", "--from", f"{tmp_path.as_uri()}/", "--to", f"{at}/main/raw/")
    assert main.head.id == head


def finished(said: Said) -> tuple[int, int]:
    """What the last line of statistics of an abuse says: how many were done, how many of them failed."""
    return [(int(done), int(errors)) for done, errors in re.findall(r"completed: (\d+), errors: (\d+)", said.out)][-1]


def test_abuse_commit(main, at):
    # This version asks for commits of nothing, so that only the first has something to commit.
    main.object("a").upload(b"1")
    before = main.head.id
    assert finished(lakectl("abuse", "commit", f"{at}/main", "--amount", 1, "--gap", "0s")) == (1, 0)
    assert main.get_commit().parents == [before]
    assert finished(lakectl("abuse", "commit", f"{at}/main", "--amount", 5, "--gap", "0s")) == (5, 5)
    assert main.get_commit().parents == [before]


def test_abuse_random_write_and_list(main, at):
    assert finished(lakectl("abuse", "random-write", f"{at}/main", "--amount", 200, "--parallelism", 10)) == (200, 0)
    paths = sorted(f"abuse/file-{number}" for number in range(200))
    assert [entry.path for entry in main.objects(prefix="abuse/")] == paths
    assert finished(lakectl("abuse", "list", f"{at}/main", "--amount", 50, "--parallelism", 10)) == (50, 0)


def test_abuse_create_branches(repo, at):
    create = ["abuse", "create-branches", f"{at}/main", "--parallelism", 10]
    assert finished(lakectl(*create, "--amount", 50)) == (50, 0)
    assert len(list(repo.branches(prefix="abuse-"))) == 50
    assert finished(lakectl(*create, "--clean-only")) == (50, 0)
    assert [branch.id for branch in repo.branches()] == ["main"]


def test_abuse_link_same_object(main, at):
    assert finished(lakectl("abuse", "link-same-object", f"{at}/main", "--amount", 50, "--parallelism", 10)) == (50, 0)
    assert [entry.path for entry in main.objects()] == ["linked-object"]


def test_refs_dump(at):
    assert "commits_meta_range_id" in lakectl("refs-dump", at).out


def test_doctor():
    assert "Valid configuration" in lakectl("doctor").lines


def test_a_wrong_key_is_told(at):
    said = run("branch", "list", at, LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY="wrong" * 8)
    assert said.code == 1
    assert "401" in said.err
