"""A strongSwan tunnel's two ends, driven as consumers drive them, on real charons in namespaces that the tests make."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
import structlog

from quiver.consume.config_tables import StrongswanTable
from quiver.consume.strongswan import Strongswan
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from tests.interop.charons import USERSPACE, Site, becomes, two_sites
from tests.interop.visitors import PATIENCE
from tests.scenarios.processes import leaks, texts_below

pytestmark = pytest.mark.system

KEY = bytes(range(32))


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    with two_sites() as made:
        yield made


class Tunnels:
    """Both ends of a tunnel, driven as the two consumers drive them."""

    def __init__(self, sites: tuple[Site, Site], connections: dict[str, dict[str, Any]] | None = None) -> None:
        connections = connections or {site.name: site.connection() for site in sites}
        self._ticks = itertools.count(step=limits.IKE_RETRY)  # at each look it is time to try again
        self.both = self.left, self.right = tuple(
            Strongswan(
                StrongswanTable(name="site", connection=connections[site.name], socket=site.socket),
                initiates=site.name == "left",
                clock=lambda: next(self._ticks),
            )
            for site in sites
        )

    async def open(self) -> None:
        await self.right.open()
        await self.left.open()

    async def change(self, *, other_key: bool = False) -> str:
        """Bring a key into use at both ends; or, if so wished, two keys under one key_ID."""
        key_id = str(uuid.uuid4())
        await self.right.stage(DeliveredKey(key_id, Secret(KEY)))
        await self.left.stage(DeliveredKey(key_id, Secret(KEY[::-1] if other_key else KEY)))
        await self.right.switch(key_id)
        await self.left.switch(key_id)
        return key_id

    async def proven(self, key_id: str) -> bool:
        return await self.left.proven(key_id) and await self.right.proven(key_id)


def run(scene: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 3 * PATIENCE))  # type: ignore[arg-type]


def test_another_key_under_the_same_key_id_never_opens_a_tunnel(sites: tuple[Site, Site]) -> None:
    left, right = sites
    left.start()
    right.start()
    tunnels = Tunnels(sites)

    async def scene() -> None:
        await tunnels.open()
        with structlog.testing.capture_logs() as logs:
            wrong = await tunnels.change(other_key=True)
            assert not await tunnels.left.proven(wrong)
        assert any("AUTHENTICATION_FAILED" in entry.get("reason", "") for entry in logs), logs
        assert not await tunnels.right.proven(wrong)
        assert await tunnels.left.intact(), "the key has not had its time"
        assert not left.reaches()
        assert tunnels.left.figures()["ike_failures_total"] >= 1
        right_key = await tunnels.change()
        assert await tunnels.proven(right_key)
        assert left.reaches()
        assert right.reaches()
        wrong = await tunnels.change(other_key=True)
        assert not await tunnels.proven(wrong)
        assert left.reaches(), "the tunnel goes on under the key before"

    run(scene())
    assert "MAC mismatched" in right.log.read_text()
    assert leaks([KEY, KEY[::-1]], texts_below(left.log.parent) | texts_below(right.log.parent)) == []


def test_a_blocked_tunnel_carries_nothing_until_the_next_switch(sites: tuple[Site, Site]) -> None:
    left, right = sites
    left.start()
    right.start()
    tunnels = Tunnels(sites)

    async def scene() -> None:
        await tunnels.open()
        key_id = await tunnels.change()
        assert await tunnels.proven(key_id)
        assert left.reaches()
        await tunnels.left.block()
        await tunnels.right.block()
        assert not left.reaches()
        left.swanctl("--initiate", "--child", "net", check=False)
        assert not left.reaches(), "nobody else brings it up"
        assert not await tunnels.left.intact()
        await tunnels.right.switch(key_id)
        await tunnels.left.switch(key_id)
        assert await tunnels.proven(key_id)
        assert left.reaches()

    run(scene())


def test_what_charon_has_lost_is_given_to_it_again(sites: tuple[Site, Site]) -> None:
    left, right = sites
    left.start()
    right.start()
    tunnels = Tunnels(sites)

    async def scene() -> None:
        await tunnels.open()
        key_id = await tunnels.change()
        assert await tunnels.proven(key_id)
        for site, tunnel in ((left, tunnels.left), (right, tunnels.right)):
            site.load_credentials()  # which unloads all secrets that are not in its files
            site.swanctl("--load-conns", "--file", str(site.directory / "swanctl.conf"))
            assert await tunnel.intact()
        for site in sites:
            site.stop()
        with pytest.raises(TunnelError):
            await tunnels.left.intact()
        for site in sites:
            site.start()
        await tunnels.right.intact()
        assert await becomes(tunnels.left.intact)
        assert await becomes(tunnels.right.intact)
        assert left.reaches()
        fresh = await tunnels.change()
        assert await tunnels.proven(fresh)
        await tunnels.right.retire()
        await tunnels.left.retire()
        assert left.reaches()

    run(scene())


def test_a_peer_that_comes_back_is_met_at_the_next_try(sites: tuple[Site, Site]) -> None:
    left, right = sites
    left.start()
    right.start()
    tunnels = Tunnels(sites)

    async def scene() -> None:
        await tunnels.open()
        assert await tunnels.proven(await tunnels.change())
        key_id = str(uuid.uuid4())
        for one in tunnels.both:
            await one.stage(DeliveredKey(key_id, Secret(KEY)))
        await tunnels.right.switch(key_id)
        right.stop()
        await tunnels.left.switch(key_id)
        assert not left.reaches()
        right.start()
        assert await tunnels.right.intact(), "the key has not had its time, and is loaded again"
        assert await tunnels.left.proven(key_id)
        assert await tunnels.right.intact()
        assert left.reaches()
        newest = max(await tunnels.left._look(), key=lambda sa: sa.number)
        assert [child.name for child in newest.children] == ["net"]

    run(scene())


def test_a_consumer_that_was_started_again_takes_the_tunnel_over_and_leaves_no_old_key(
    sites: tuple[Site, Site],
) -> None:
    """With a second child, and the first consumers gone without a word."""
    left, right = sites
    left.start()
    right.start()
    connections = {site.name: site.connection() for site in sites}
    for site in sites:
        child = dict(connections[site.name]["children"]["net"])
        child |= {"local_ts": [f"10.{site.number}.1.0/24"], "remote_ts": [f"10.{3 - site.number}.1.0/24"]}
        connections[site.name]["children"]["more"] = child

    async def scene() -> None:
        for _ in range(2):
            tunnels = Tunnels(sites, connections)
            await tunnels.open()
            for _ in range(2):
                assert await tunnels.proven(await tunnels.change())
                assert left.reaches()
                await tunnels.right.retire()
                await tunnels.left.retire()

                async def alone() -> bool:
                    for one in tunnels.both:  # noqa: B023  # it is called before the next round of the loop
                        if not await one.intact() or one.figures()["ike_sas"] != 1:
                            return False
                    return True

                assert await becomes(alone)
                assert left.reaches()
        for one in tunnels.both:
            assert await held(one) == 1
            for _ in range(2):  # keys of rounds that came to nothing
                await one.stage(DeliveredKey(str(uuid.uuid4()), Secret(KEY)))
            assert await held(one) == 2, "the one in use and the newest that is ready"

    async def held(one: Strongswan) -> int:
        return len([name for name in await one._charon.secrets() if name.startswith("quiver-site-")])

    run(scene())


@pytest.mark.parametrize("kernel", ["kernel-netlink", USERSPACE])
def test_without_a_key_nothing_leaves_in_the_clear(sites: tuple[Site, Site], kernel: str) -> None:
    """Neither by policies of the kernel, nor by the routes that the ESP in userspace sets."""
    left, right = sites
    left.start(kernel)
    assert left.reaches()
    assert right.reaches()
    run(Tunnels(sites).left.open())
    assert not left.reaches()
    assert not right.reaches()
