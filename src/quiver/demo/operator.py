"""The demo's operator: enters SAEs and permitted pairs at agents over NETCONF, and an agent at the controller over REST."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from quiver.client.operator import OperatorClient
from quiver.demo.places import OPERATOR, Identities
from quiver.net.netconf_client import NetconfClient
from quiver.net.ssh_policy import public_key, read_private_key
from quiver.protocols.netconf.xml import child, element, qualified
from quiver.protocols.yang.entries import home_to_xml, pair_to_xml
from quiver.protocols.yang.names import KMS

__all__ = ["DemoOperator"]

_LOOK: Final = 0.1  # seconds between two looks at the controller
_READY: Final = "ready"  # stage of a session: the controller may write there


class DemoOperator:
    """Acts by the operator's role.

    Args:
        identities: the operator's, among others.
        controller: to speak to it.
    """

    def __init__(self, identities: Identities, controller: OperatorClient) -> None:
        self._key: Final = read_private_key(identities.operator_ssh)
        self._controller: Final = controller

    async def admit(self, agent: Mapping[str, Any], homes: Mapping[str, str], pair: frozenset[str]) -> None:
        """Enter SAEs and a permitted pair at one agent, over SSH.

        Args:
            agent: what it said when it was ready.
            homes: SAE → home node.
            pair: two SAEs that may share keys.

        Raises:
            RemoteError, NetconfError: the agent is not there, or refuses.
        """
        kms = element(qualified(KMS, "kms"))
        directory = child(kms, "directory")
        directory.extend(home_to_xml(sae, node) for sae, node in homes.items())
        directory.append(pair_to_xml(pair))
        async with await NetconfClient.over_ssh(
            agent["netconf_ssh_host"],
            agent["netconf_ssh_port"],
            user=OPERATOR,
            key=self._key,
            host_keys=[public_key(agent["ssh_host_key"])],
        ) as client:
            await client.edit(kms)

    async def announce(self, node: str, netconf: str, peer: str) -> None:
        """Make a node's agent known to the controller.

        Args:
            node: its id.
            netconf: address of its NETCONF server over TLS.
            peer: address of its peer plane.

        Raises:
            RemoteError: the controller is not there, or refuses.
        """
        await self._controller.post("agents", {"id": node, "tls": netconf, "peer": peer})

    async def known(self, node: str) -> None:
        """Wait until the controller reads and writes a node's agent.

        Raises:
            RemoteError: the controller is not there.
        """
        while True:
            found = await self._controller.get("nodes", node)
            if found["stage"] == _READY:
                return
            await asyncio.sleep(_LOOK)
