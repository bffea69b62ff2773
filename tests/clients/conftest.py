"""What the tests of all clients share: the server's address, a client, a repository of its own for each test.

The environment is set by `scripts/test-clients`; the clients' own variables are used where they have some.
"""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import lakefs
import pytest
from support import namespace


@dataclass(frozen=True)
class Server:
    """The server under test and the administrator's key."""

    endpoint: str
    access_key_id: str
    secret_access_key: str

    @property
    def login(self) -> dict[str, str]:
        """The arguments of `lakefs.Client` and of `LakeFSFileSystem`."""
        return {
            "host": self.endpoint,
            "username": self.access_key_id,
            "password": self.secret_access_key,
        }

    @property
    def api(self) -> str:
        """Where the lakeFS API is, for requests that the clients would not send."""
        return f"{self.endpoint}/api/v1"

    @property
    def basic(self) -> tuple[str, str]:
        return self.access_key_id, self.secret_access_key


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: run these tests with scripts/test-clients", returncode=2)
    return value


@pytest.fixture(scope="session")
def server() -> Server:
    return Server(
        endpoint=_required("LAKECTL_SERVER_ENDPOINT_URL"),
        access_key_id=_required("LAKECTL_CREDENTIALS_ACCESS_KEY_ID"),
        secret_access_key=_required("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"),
    )


@pytest.fixture(scope="session")
def client(server: Server) -> lakefs.Client:
    return lakefs.Client(**server.login)


@pytest.fixture
def source(new_name) -> Path:
    """A new folder that the server may import from and read linked objects from; it may not from `tmp_path`."""
    made = Path(_required("ONWARD_TEST_SOURCES")) / new_name("source")
    made.mkdir()
    return made


@pytest.fixture
def new_name():
    """Names that no other test has, of repositories above all."""

    def make(prefix: str = "repo") -> str:
        return f"{prefix}-{uuid.uuid4().hex[:12]}"

    return make


@pytest.fixture
def repo(client: lakefs.Client, new_name) -> lakefs.Repository:
    """An empty repository with the branch main, for this test alone."""
    name = new_name()
    return lakefs.Repository(name, client).create(storage_namespace=namespace(name))


@pytest.fixture
def main(repo: lakefs.Repository) -> lakefs.Branch:
    return repo.branch("main")
