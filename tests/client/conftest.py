"""One network and one SAE plane for the tests of the SAE's library."""

from collections.abc import Iterator

import pytest

from quiver.identity.lab import Lab
from tests.agent.plane import Running, running


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def plane(lab: Lab) -> Iterator[Running]:
    with running(lab) as started:
        yield started
