"""PyIceberg's users, several at once: threads that append, each with a catalog of its own."""

import threading
from dataclasses import dataclass, field

from support import Warehouse, rows


@dataclass
class Outcome:
    """What writers were told of the rows they wrote."""

    acknowledged: list[int] = field(default_factory=list)
    # An error that a client gives after a commit that may have landed.
    unknown: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def appenders(warehouse: Warehouse, table: str, writers: int, each: int, first: int = 0, **properties: str):
    """Starts them: `join` waits and gives the outcome. A writer who is told nothing good goes on with the next row."""
    outcome, lock = Outcome(), threading.Lock()

    def work(writer: int) -> None:
        catalog = None
        for n in range(each):
            id = first + writer * each + n
            attempted = False
            try:
                catalog = catalog or warehouse.pyiceberg(**properties)
                loaded = catalog.load_table(table)
                attempted = True
                loaded.append(rows(id))
                with lock:
                    outcome.acknowledged.append(id)
            except Exception as error:
                with lock:
                    outcome.errors.append(f"{id}: {type(error).__name__}: {error}"[:300])
                    if attempted:
                        outcome.unknown.append(id)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()

    def join() -> Outcome:
        for thread in threads:
            thread.join()
        return outcome

    return join
