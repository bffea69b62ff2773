"""What the tests of all clients share: one deployment, and a repository and tables for each test.

The environment is set by `scripts/test-iceberg`.
"""

import os
import tempfile
import uuid
from pathlib import Path

import pytest
from servers import Deployment
from support import SCHEMA, Warehouse


def pytest_configure(config):
    if not os.environ.get("ONWARD_BIN"):
        pytest.exit("ONWARD_BIN is not set: run these tests with scripts/test-iceberg", returncode=2)


@pytest.fixture
def deploy():
    """Deployments of a test's own, for what it kills."""
    made = []

    def start() -> Deployment:
        folder = Path(tempfile.mkdtemp(prefix="onward-iceberg."))
        made.append(Deployment(folder))
        return made[-1]

    yield start
    for deployment in made:
        deployment.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    deployment = Deployment(tmp_path_factory.mktemp("deployment"))
    yield deployment
    deployment.stop()


def warehouse_of(deployment: Deployment) -> Warehouse:
    name = deployment.repository(f"lake-{uuid.uuid4().hex[:8]}")
    return Warehouse(deployment.sidecar.uri, name, deployment.credential)


@pytest.fixture
def warehouse(shared) -> Warehouse:
    """The catalog of a repository that no other test has, with the namespace `db`."""
    made = warehouse_of(shared)
    made.pyiceberg().create_namespace("db")
    return made


@pytest.fixture
def catalog(warehouse):
    return warehouse.pyiceberg()


@pytest.fixture
def table(catalog):
    return catalog.create_table("db.t", SCHEMA)
