"""One network's certificates for all tests of this room."""

import pytest

from quiver.identity.lab import Lab
from tests.own_logging import own_logging

__all__ = ["own_logging"]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))
