"""lakefs-spec, the fsspec file system, alone and below pandas, pyarrow and DuckDB."""

import warnings

import duckdb
import lakefs
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from lakefs_spec import LakeFSFileSystem
from support import changes, commit, content, put, read

FRAME = pandas.DataFrame(
    {"id": range(1000), "name": [f"n{i}" for i in range(1000)], "half": [i / 2 for i in range(1000)]}
)


@pytest.fixture
def fs(server) -> LakeFSFileSystem:
    return LakeFSFileSystem(**server.login, skip_instance_cache=True)


@pytest.fixture
def root(repo) -> str:
    return f"lakefs://{repo.id}/main"


def test_files_are_written_and_read(fs, root, main):
    with fs.open(f"{root}/dir/text", "w", content_type="text/plain", metadata={"by": "spec"}) as file:
        file.write("line 1\nline 2\n")
    with fs.open(f"{root}/dir/bytes", "wb") as file:
        file.write(b"\x00\x01" * 500)
    with fs.open(f"{root}/dir/text", "r") as file:
        assert file.read() == "line 1\nline 2\n"
    with fs.open(f"{root}/dir/bytes", "rb") as file:
        assert file.read(3) == b"\x00\x01\x00"
        file.seek(-2, 2)
        assert file.read() == b"\x00\x01"
    assert fs.cat_file(f"{root}/dir/bytes", start=2, end=6) == b"\x00\x01\x00\x01"
    assert fs.tail(f"{root}/dir/text", 7) == b"line 2\n"
    info = fs.info(f"{root}/dir/text")
    assert (info["content-type"], info["metadata"]) == ("text/plain", {"by": "spec"})
    assert changes(main.uncommitted()) == [("added", "dir/bytes"), ("added", "dir/text")]


def test_opening_what_is_not_there(fs, root):
    with pytest.raises(FileNotFoundError):
        fs.open(f"{root}/none", "rb")
    with pytest.raises(FileNotFoundError):
        fs.info(f"{root}/none")
    assert not fs.exists(f"{root}/none")
    assert not fs.exists(root.replace("/main", "/no-branch/"))


def test_exclusive_creation(fs, root, main):
    with fs.open(f"{root}/once", "x") as file:
        file.write("first")
    with pytest.raises(FileExistsError):
        fs.open(f"{root}/once", "x")
    assert read(main, "once") == b"first"


def test_listing_and_info(fs, repo, root, main):
    put(main, {"a/1": b"1", "a/2": b"22", "a/b/3": b"333", "ab": b"4444", "top": b""})
    here = f"{repo.id}/main"
    assert fs.ls(f"{root}/", detail=False) == [f"{here}/a/", f"{here}/ab", f"{here}/top"]
    assert fs.ls(f"{root}/a", detail=False) == [f"{here}/a/1", f"{here}/a/2", f"{here}/a/b/"]
    assert [(entry["name"], entry["type"], entry["size"]) for entry in fs.ls(f"{root}/a/")] == [
        (f"{here}/a/1", "file", 1),
        (f"{here}/a/2", "file", 2),
        (f"{here}/a/b/", "directory", 0),
    ]
    assert fs.find(f"{root}/a") == [f"{here}/a/1", f"{here}/a/2", f"{here}/a/b/3"]
    assert fs.glob(f"{root}/a/[12]") == [f"{here}/a/1", f"{here}/a/2"]
    assert fs.info(f"{root}/a/2")["size"] == 2
    assert fs.info(f"{root}/a")["type"] == "directory"
    assert fs.isdir(f"{root}/a") and fs.isfile(f"{root}/ab")
    assert fs.exists(f"{root}/a/1") and fs.exists(f"{root}/a") and fs.exists(f"{root}/")
    assert fs.du(f"{root}/a") == 6
    assert fs.checksum(f"{root}/a/1") == "c4ca4238a0b923820dcc509a6f75849b"


def test_past_commits_are_read(fs, repo, main):
    first = commit(main, {"a": b"old"})
    commit(main, {"a": b"new"})
    assert fs.cat_file(f"{repo.id}/{first}/a") == b"old"
    assert fs.cat_file(f"{repo.id}/main~1/a") == b"old"
    assert fs.cat_file(f"{repo.id}/main/a") == b"new"


def test_removing(fs, root, main):
    put(main, {"a/1": b"", "a/b/2": b"", "keep/1": b"", "single": b""})
    fs.rm(f"{root}/single")
    assert not fs.exists(f"{root}/single")
    fs.rm(f"{root}/a/", recursive=True)
    assert list(content(main)) == ["keep/1"]
    # Folders that are left over are no error.
    fs.rm(f"{root}/", recursive=False)
    assert list(content(main)) == ["keep/1"]


def test_removing_more_than_one_request_takes(fs, root, main):
    put(main, {f"many/{number:04}": b"" for number in range(1010)})
    fs.rm(f"{root}/many/", recursive=True)
    assert content(main) == {}


def test_copying(fs, repo, root, main):
    put(main, {"a": b"content", "dir/1": b"1", "dir/2": b"2"})
    fs.cp_file(f"{root}/a", f"{root}/b")
    repo.branch("other").create("main")
    fs.cp_file(f"{root}/a", f"lakefs://{repo.id}/other/c")
    assert read(main, "b") == b"content"
    assert read(repo.branch("other"), "c") == b"content"
    fs.mv(f"{root}/b", f"{root}/moved")
    assert read(main, "moved") == b"content"
    assert not fs.exists(f"{root}/b")


def test_local_files_go_up_and_come_down(fs, root, main, tmp_path):
    up, down = tmp_path / "up", tmp_path / "down"
    for name, data in {"1": b"one", "in/2": b"two" * 1000}.items():
        (up / name).parent.mkdir(parents=True, exist_ok=True)
        (up / name).write_bytes(data)
    fs.put(f"{up}/", f"{root}/put/", recursive=True)
    assert content(main) == {"put/1": b"one", "put/in/2": b"two" * 1000}
    fs.get(f"{root}/put/", f"{down}/", recursive=True)
    assert (down / "1").read_bytes() == b"one"
    assert (down / "in" / "2").read_bytes() == b"two" * 1000

    # What is there with the same checksum is neither sent nor fetched again.
    before = main.object("put/1").stat().physical_address
    fs.put_file(str(up / "1"), f"{root}/put/1")
    assert main.object("put/1").stat().physical_address == before
    fs.get_file(f"{root}/put/1", str(down / "1"))
    (up / "1").write_bytes(b"other")
    fs.put_file(str(up / "1"), f"{root}/put/1")
    assert read(main, "put/1") == b"other"


def test_touch(fs, root, main):
    fs.touch(f"{root}/empty")
    assert content(main) == {"empty": b""}
    assert fs.modified(f"{root}/empty").year >= 2026


def test_writing_makes_the_branch(fs, repo):
    with fs.open(f"lakefs://{repo.id}/made-by-writing/a", "wb") as file:
        file.write(b"1")
    assert content(repo.branch("made-by-writing")) == {"a": b"1"}
    assert content(repo.branch("main")) == {}


def test_a_transaction(fs, repo, main):
    commit(main, {"a": b"1"})
    with fs.transaction(repo.id, base_branch="main") as tx:
        with fs.open(f"lakefs://{repo.id}/{tx.branch.id}/b", "wb") as file:
            file.write(b"2")
        made = tx.commit("in the transaction", metadata={"k": "v"})
        tx.tag(made, "made")
        fs.rm(f"lakefs://{repo.id}/{tx.branch.id}/a")
        second = tx.commit("removes a")
        assert tx.rev_parse(second).message == "removes a"
    assert content(main) == {"b": b"2"}
    assert repo.tag("made").get_commit().metadata == {"k": "v"}
    assert [branch.id for branch in repo.branches()] == ["main"]


def test_a_transaction_with_a_revert_and_a_merge(fs, repo, main):
    commit(main, {"a": b"1"})
    wrong = commit(main, {"a": b"wrong"})
    with fs.transaction(repo.id, base_branch="main", automerge=False) as tx:
        reverted = tx.revert(tx.branch, wrong)
        assert reverted.parents == [wrong]
        merged = tx.merge(tx.branch, main)
        assert main.head.id == merged.id
    assert content(main) == {"a": b"1"}


def test_a_transaction_that_fails(fs, repo, main):
    head = commit(main, {"a": b"1"})
    with warnings.catch_warnings(), pytest.raises(RuntimeError):
        warnings.simplefilter("ignore")
        with fs.transaction(repo.id, base_branch="main", delete="always") as tx:
            fs.pipe_file(f"lakefs://{repo.id}/{tx.branch.id}/b", b"2")
            raise RuntimeError
    assert main.head.id == head
    assert [branch.id for branch in repo.branches()] == ["main"]


def test_a_file_whose_writing_fails(fs, repo, root, main):
    place, table = f"{repo.id}/main/table.parquet", pyarrow.table({"n": range(10)})
    pyarrow.parquet.write_table(table, place, filesystem=fs)
    main.commit("ten rows")

    with pytest.raises(InterruptedError), fs.open(f"{root}/table.parquet", "wb") as file:
        file.write(b"half")
        raise InterruptedError
    assert changes(main.uncommitted()) == []

    def write_four_rows_and_fail(place):
        with pytest.raises(InterruptedError):
            with pyarrow.parquet.ParquetWriter(place, table.schema, filesystem=fs) as file:
                file.write_table(table.slice(0, 4))
                raise InterruptedError

    # pyarrow ends the file, whatever ended the block, and staged is a whole file of four rows.
    write_four_rows_and_fail(place)
    assert changes(main.uncommitted()) == [("changed", "table.parquet")]
    main.reset_changes()
    with warnings.catch_warnings(), pytest.raises(InterruptedError):
        warnings.simplefilter("ignore")
        with fs.transaction(repo.id, base_branch="main", delete="always") as tx:
            write_four_rows_and_fail(f"{repo.id}/{tx.branch.id}/table.parquet")
            # fsspec's own transactions end at such a wrapper. This one is a branch, which the path names.
            DirFileSystem(f"{repo.id}/{tx.branch.id}", fs).pipe_file("beside", b"1")
            raise InterruptedError
    assert changes(main.uncommitted()) == [] and list(content(main)) == ["table.parquet"]
    fs.invalidate_cache()
    assert pyarrow.parquet.read_table(place, filesystem=fs).num_rows == 10


def test_two_who_write_one_dataset_at_once(server, repo, main):
    def write(fs, tx, writer):
        table = pyarrow.table({"writer": [writer]})
        pyarrow.dataset.write_dataset(table, f"{repo.id}/{tx.branch.id}/table", filesystem=fs, format="parquet")
        tx.commit(writer)

    first, second = (LakeFSFileSystem(**server.login, skip_instance_cache=True) for _ in range(2))
    with warnings.catch_warnings(), pytest.raises(lakefs.exceptions.ConflictException):
        warnings.simplefilter("ignore")
        with first.transaction(repo.id, base_branch="main", delete="always") as slow:
            write(first, slow, "slow")
            with second.transaction(repo.id, base_branch="main") as fast:
                write(second, fast, "fast")
    first.invalidate_cache()
    rows = pyarrow.dataset.dataset(f"{repo.id}/main/table", filesystem=first, format="parquet").to_table()
    assert rows["writer"].to_pylist() == ["fast"]


def test_pandas_with_csv_and_parquet(server, root, main):
    options = {"storage_options": server.login}
    FRAME.to_csv(f"{root}/frame.csv", index=False, **options)
    pandas.testing.assert_frame_equal(pandas.read_csv(f"{root}/frame.csv", **options), FRAME, check_dtype=False)
    FRAME.to_parquet(f"{root}/frame.parquet", **options)
    pandas.testing.assert_frame_equal(pandas.read_parquet(f"{root}/frame.parquet", **options), FRAME)
    # Columns are read by ranges of the file.
    names = pandas.read_parquet(f"{root}/frame.parquet", columns=["name"], **options)
    assert names["name"].tolist() == FRAME["name"].tolist()
    assert changes(main.uncommitted()) == [("added", "frame.csv"), ("added", "frame.parquet")]


def test_pyarrow_datasets(fs, root, main):
    table = pyarrow.table({"day": [1, 1, 2, 3], "value": [10, 11, 20, 30]})
    partitioning = pyarrow.dataset.partitioning(pyarrow.schema([("day", pyarrow.int64())]), flavor="hive")
    place = root.removeprefix("lakefs://") + "/table"
    pyarrow.dataset.write_dataset(table, place, filesystem=fs, format="parquet", partitioning=partitioning)
    assert {path.split("/")[1] for path in content(main)} == {"day=1", "day=2", "day=3"}

    fs.invalidate_cache()
    dataset = pyarrow.dataset.dataset(place, filesystem=fs, format="parquet", partitioning=partitioning)
    assert dataset.count_rows() == 4
    rows = dataset.to_table(filter=pyarrow.dataset.field("day") == 1).to_pydict()
    assert sorted(rows["value"]) == [10, 11]


def test_pyarrow_files(fs, root):
    table = pyarrow.table({"n": list(range(50_000))})
    place = root.removeprefix("lakefs://") + "/numbers.parquet"
    pyarrow.parquet.write_table(table, place, filesystem=fs, row_group_size=5_000)
    assert pyarrow.parquet.read_table(place, filesystem=fs).equals(table)
    file = pyarrow.parquet.ParquetFile(fs.open(f"{root}/numbers.parquet", "rb"))
    assert file.read_row_group(3).to_pydict()["n"] == list(range(15_000, 20_000))


def test_duckdb_reads_and_writes(fs, root, main):
    with fs.open(f"{root}/in.csv", "wb") as file:
        file.write(FRAME.to_csv(index=False).encode())
    with duckdb.connect() as duck:
        duck.register_filesystem(fs)
        assert duck.sql(f"SELECT count(*), sum(id) FROM read_csv('{root}/in.csv')").fetchall() == [(1000, 499500)]
        duck.sql(f"COPY (SELECT id, name FROM read_csv('{root}/in.csv') WHERE id % 2 = 0) TO '{root}/even.parquet'")
        duck.sql(f"COPY (SELECT id FROM read_csv('{root}/in.csv') WHERE id < 3) TO '{root}/few.csv' (HEADER)")
        even = duck.sql(f"SELECT count(*), max(id), min(name) FROM '{root}/even.parquet'").fetchall()
        assert even == [(500, 998, "n0")]
    assert read(main, "few.csv") == b"id\n0\n1\n2\n"
    done = main.commit("from DuckDB")
    assert set(content(done)) == {"even.parquet", "few.csv", "in.csv"}
