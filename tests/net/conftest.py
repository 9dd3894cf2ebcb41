"""One small network's certificates for all tests of this room."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from quiver.identity.lab import Lab
from quiver.net.tls import Credentials

Issue = Callable[..., Credentials]


class Network:
    """A lab that remembers what it has issued."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory)
        self._issued: dict[tuple[str, str], Credentials] = {}

    def get(self, profile: str, identity: str) -> Credentials:
        """The certificate of this profile and id, made once."""
        if (profile, identity) not in self._issued:
            self._issued[profile, identity] = self.lab.issue(profile, identity)
        return self._issued[profile, identity]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return Network(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Another network with authorities of the same names."""
    return Network(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory
