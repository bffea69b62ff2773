"""What several tests do with a branch: write files, commit them, read everything back."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import lakefs


def namespace(repository: str) -> str:
    """A storage namespace for a new repository: the SDK refuses `file://` before it asks anybody."""
    return f"local://{repository}"


def put(branch: lakefs.Branch, files: dict[str, str | bytes]) -> None:
    """Uploads small files, several at a time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: branch.object(file[0]).upload(file[1]), files.items()))


def commit(branch: lakefs.Branch, files: dict[str, str | bytes], message: str = "change", **more) -> str:
    """Uploads files and commits them; the commit's id."""
    put(branch, files)
    return branch.commit(message, **more).id


def content(ref: lakefs.Reference, prefix: str | None = None) -> dict[str, bytes]:
    """Every file of a ref with its bytes, as a reader gets them."""
    paths = [entry.path for entry in ref.objects(prefix=prefix)]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(paths, pool.map(lambda path: read(ref, path), paths), strict=True))


def read(ref: lakefs.Reference, path: str) -> bytes:
    with ref.object(path).reader() as reader:
        return reader.read()


def changes(listing) -> list[tuple[str, str]]:
    """A diff as (type, path), in the server's order."""
    return [(change.type, change.path) for change in listing]


def local_path(address: str) -> Path:
    """The file that a physical address of local storage names."""
    parts = urlsplit(address)
    assert parts.scheme == "file", address
    return Path(url2pathname(parts.path))
