"""Both consumers of the demonstration: their files, their processes, and what they tell of themselves."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from quiver.demo.encrypt.site import Site, Sites
from quiver.demo.network import DemoNetwork
from quiver.demo.pad import Sample, read_samples
from quiver.demo.tables import to_toml
from quiver.net.ports import HOST, free_ports

__all__ = ["Consumers", "State"]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What both ends tell.

    Attributes:
        rollovers: keys that both ends have counted, each proven by the tunnel; the lower of the two counts.
        keys: keys that the initiator has switched to.
        age: seconds since then.
        failures: rollovers that failed, over all causes.
        expired: whether an end has no key that is young enough.
    """

    rollovers: int
    keys: int
    age: float
    failures: int
    expired: bool


class Consumers:
    """`quiver consume` at both ends.

    Args:
        network: whose keys they use.
        sites: what they feed.
        state: directory of their files.
    """

    def __init__(self, network: DemoNetwork, sites: Sites, state: Path) -> None:
        self._network: Final = network
        self._sites: Final = sites
        self._state: Final = state
        self.metrics: Final[dict[str, str]] = {}

    async def start(self) -> None:
        """Start the responder, then the initiator.

        Raises:
            StartError: one does not come up.
        """
        port = free_ports(1)[0]
        for site, partner in zip(reversed(self._sites.ends), self._sites.ends, strict=True):
            file = self._state / f"consumer-{site.role}.toml"
            file.touch(mode=0o600)
            file.write_text(to_toml(self._tables(site, partner, f"{HOST}:{port}")), encoding="utf-8")
            ready = await self._network.start_consumer(self._sites.kind, file)
            self.metrics[site.role] = str(ready["metrics_url"])

    def _tables(self, site: Site, partner: Site, address: str) -> Mapping[str, object]:
        identities = self._network.files.identities
        files = identities.saes[site.sae].partner
        own = {"certificate": str(files.certificate), "private_key": str(files.private_key)}
        trust = [str(identities.saes_trust[1])]
        return {
            "consumer": {"role": site.role},
            "kme": {"url": self._network.kme_url(site.sae), **own, "trust": trust},
            "partner": {
                "sae": partner.sae,
                ("address" if site.role == "initiator" else "listen"): address,
                **own,
                "trust": trust,
            },
            "rollover": {"interval": self._sites.interval},
            "metrics": {"listen": f"{HOST}:0"},
            **site.tables,
        }

    async def state(self) -> State:
        """What they tell now.

        Raises:
            RemoteError: one does not answer.
        """
        samples = await read_samples(self.metrics)
        first = samples["initiator"]
        return State(
            rollovers=int(min(_sum(one, "rollovers_total") for one in samples.values())),
            keys=int(_sum(first, "keys_total")),
            age=_sum(first, "key_age_seconds"),
            failures=int(sum(_sum(one, "failures_total") for one in samples.values())),
            expired=any(_sum(one, "expired") for one in samples.values()),
        )

    async def until(self, rollovers: int, look: float = 0.5) -> State:
        """Wait until both ends have counted so many keys.

        Raises:
            RemoteError: as `state`.
        """
        while (state := await self.state()).rollovers < rollovers:  # noqa: ASYNC110  # metrics tell nothing by themselves
            await asyncio.sleep(look)
        return state


def _sum(samples: list[Sample], name: str) -> float:
    return sum(value for found, _, value in samples if found == f"quiver_consumer_{name}")
