"""`branch.transact()`: a hidden branch, a commit, a merge. Alone, failing, and from 32 processes at once."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import transactor
from lakefs.exceptions import TransactionException
from support import commit, content, put, read

PROCESSES = 32
ROUNDS = 4
FILES = 3
DONE_SECONDS = 600


def transaction_branches(repo) -> list[str]:
    return [branch.id for branch in repo.branches(show_hidden=True) if branch.id.startswith("tx-")]


def test_a_transaction(repo, main):
    before = commit(main, {"old": b"1", "gone": b"1"})
    with main.transact(commit_message="all or nothing", commit_metadata={"job": "7"}, tag="loaded") as tx:
        tx.object("new").upload(b"2")
        tx.object("gone").delete()
        assert read(tx, "old") == b"1"
        # Nobody else sees it yet.
        assert content(main) == {"old": b"1", "gone": b"1"}
        assert transaction_branches(repo) == [tx.id]
        assert tx.id not in [branch.id for branch in repo.branches()]

    assert content(main) == {"old": b"1", "new": b"2"}
    merged = main.get_commit()
    assert merged.parents[0] == before
    made = repo.ref(merged.parents[1]).get_commit()
    assert (made.message, made.metadata) == ("all or nothing", {"job": "7"})
    assert repo.tag("loaded").get_commit().id == merged.id
    assert transaction_branches(repo) == []


def test_a_transaction_without_a_message(main):
    with main.transact() as tx:
        tx.object("a").upload(b"1")
    assert content(main) == {"a": b"1"}


def test_a_transaction_that_fails_leaves_nothing(repo, main):
    head = commit(main, {"a": b"1"})
    with pytest.raises(RuntimeError), main.transact() as tx:
        tx.object("b").upload(b"2")
        raise RuntimeError
    assert main.head.id == head
    assert content(main) == {"a": b"1"}
    assert transaction_branches(repo) == []


def test_an_empty_transaction_is_refused(repo, main):
    head = main.head.id
    with pytest.raises(TransactionException, match="no changes"), main.transact():
        pass
    assert main.head.id == head
    assert transaction_branches(repo) == []


def test_of_two_transactions_on_one_file_the_second_is_refused(repo, main):
    commit(main, {"a": b"0"})
    with pytest.raises(TransactionException), main.transact() as late:
        put(late, {"a": b"late", "b": b"late"})
        with main.transact() as first:
            first.object("a").upload(b"first")
    assert content(main) == {"a": b"first"}
    assert transaction_branches(repo) == []


def test_transactions_of_many_processes_all_succeed(server, repo, main, record_property):
    before = main.get_commit().id
    # Processes come from a server that has the client loaded and no threads or connections of this one.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["transactor"])
    with context.Manager() as manager:
        start = manager.Barrier(PROCESSES)
        with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            running = [
                pool.submit(transactor.transact, number, start, server.login, repo.id, ROUNDS, FILES)
                for number in range(PROCESSES)
            ]
            reports = [process.result(timeout=DONE_SECONDS) for process in running]

    assert [failure for report in reports for failure in report.failures] == []
    took = sorted(seconds for report in reports for seconds in report.seconds)
    record_property("median_seconds", took[len(took) // 2])
    record_property("longest_seconds", took[-1])
    print(f"{len(took)} transactions: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")

    written = {path: data.encode() for report in reports for path, data in report.files.items()}
    assert len(written) == PROCESSES * ROUNDS * FILES
    assert content(main) == written

    # One merge and one commit for each, in a line of merges that begins where main was.
    history = {entry.id: entry for entry in main.log(amount=1000)}
    merges = []
    head = main.get_commit()
    while head.id != before:
        assert len(head.parents) == 2, head
        merges.append(history[head.parents[1]])
        head = history[head.parents[0]]
    assert len(merges) == PROCESSES * ROUNDS
    assert len(history) == 2 * len(merges) + len(list(repo.ref(before).log()))
    made = sorted((int(entry.metadata["process"]), int(entry.metadata["turn"])) for entry in merges)
    assert made == [(number, turn) for number in range(PROCESSES) for turn in range(ROUNDS)]
    # Of one process, in the order in which it made them: newest first.
    for number in range(PROCESSES):
        turns = [int(entry.metadata["turn"]) for entry in merges if entry.metadata["process"] == str(number)]
        assert turns == sorted(turns, reverse=True)
    assert transaction_branches(repo) == []
