"""For all tests of the controller."""

from pathlib import Path

import pytest

from quiver.domain import limits
from quiver.identity.lab import Lab
from tests.own_logging import own_logging

__all__ = ["own_logging"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new leader waits less long for agents that are not there."""
    monkeypatch.setattr(limits, "GATHER_TIME", 0.1)
    monkeypatch.setattr(limits, "ADOPT_TIME", 0.2)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """All authorities of a network."""
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Authorities that nobody knows."""
    return Lab(tmp_path_factory.mktemp("stranger")).directory
