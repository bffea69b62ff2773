"""What the tests of all clients share: a deployment for each storage, and a repository for each test.

The environment is set by `scripts/test-s3`.
"""

import os

import pytest
from gateway import STORAGES, Lake, lake_of


def pytest_addoption(parser):
    parser.addoption("--storages", default="file", help="what the gateway stands on, by commas: file, memory, s3")


def pytest_configure(config):
    if not os.environ.get("ONWARD_BIN"):
        pytest.exit("ONWARD_BIN is not set: run these tests with scripts/test-s3", returncode=2)
    unknown = set(config.getoption("--storages").split(",")) - set(STORAGES)
    if unknown:
        pytest.exit(f"there is no storage {unknown}: {sorted(STORAGES)}", returncode=2)


def pytest_generate_tests(metafunc):
    if "deployment" in metafunc.fixturenames:
        storages = metafunc.config.getoption("--storages").split(",")
        metafunc.parametrize("deployment", storages, indirect=True, scope="session")


@pytest.fixture(scope="session")
def deployment(request, tmp_path_factory):
    made = STORAGES[request.param](tmp_path_factory.mktemp("deployment"))
    yield made
    made.stop()


@pytest.fixture
def lake(deployment) -> Lake:
    """A repository that no other test has."""
    return lake_of(deployment)
