"""The clients of an agent's QKD devices, made from its configuration and from each later one."""

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from quiver.agent.config import AgentConfig
from quiver.agent.config_tables import LinkDevice
from quiver.net import tls
from quiver.qkd.client import DeviceClient

__all__ = ["DeviceFleet"]


class DeviceFleet:
    """One client for each link. A device whose table stays as it was keeps its client, and so its connections."""

    def __init__(self) -> None:
        self._clients: Final[dict[str, tuple[LinkDevice, DeviceClient]]] = {}
        self._former: Final[list[DeviceClient]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._former.extend(client for _, client in self._clients.values())
        self._clients.clear()
        await self.release()

    def clients(self, config: AgentConfig) -> Mapping[str, DeviceClient]:
        """Link → client, as a configuration has them; those that it no longer has stay open until `release`.

        Raises:
            ConfigurationError: a certificate or key cannot be used; nothing was changed.
        """
        made: dict[str, tuple[LinkDevice, DeviceClient]] = {}
        for link in config.links:
            known = self._clients.get(link.id)
            if known is not None and known[0] == link.device:
                made[link.id] = known
            else:
                made[link.id] = link.device, _client(config, link.device)
        return self._adopt(made)

    def _adopt(self, made: dict[str, tuple[LinkDevice, DeviceClient]]) -> Mapping[str, DeviceClient]:
        kept = {id(client) for _, client in made.values()}
        self._former.extend(client for _, client in self._clients.values() if id(client) not in kept)
        self._clients.clear()
        self._clients.update(made)
        return {link: client for link, (_, client) in made.items()}

    async def release(self) -> None:
        """Close the clients that are no longer used."""
        former = list(self._former)
        self._former.clear()
        for client in former:
            await client.close()


def _client(config: AgentConfig, device: LinkDevice) -> DeviceClient:
    return DeviceClient(
        device.url,
        device.peer_sae_id,
        tls=tls.device_client(config.device.credentials, config.device.trust),
        server_name=device.server_name,
        source=config.device.source,
        dialect=device.dialect,
    )
