"""A NETCONF session towards an agent, over SSH or over TLS: for the controller and for operators' commands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import asyncssh

from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.net.netconf_session import NetconfSession
from quiver.net.ssh_client import SshClient
from quiver.net.ssh_policy import POST_QUANTUM, SshPolicy
from quiver.net.tls import TlsContext
from quiver.net.tls_stream import connect_tls
from quiver.protocols.netconf.requests import create_subscription, edit_config, get, get_config, get_schema, operation
from quiver.protocols.netconf.xml import BASE, Element, child, qualified

__all__ = ["NetconfClient"]


class NetconfClient(NetconfSession):
    """A session and the operations that one asks for. `over_ssh` and `over_tls` make one."""

    @classmethod
    async def over_ssh(
        cls,
        host: str,
        port: int,
        *,
        user: str,
        key: asyncssh.SSHKey,
        host_keys: Sequence[asyncssh.SSHKey],
        policy: SshPolicy = POST_QUANTUM,
        source: str | None = None,
        patience: float = limits.NETCONF_ANSWER,
    ) -> Self:
        """A session over SSH (RFC 6242). The arguments are those of `SshClient.connect`.

        Raises:
            RemoteError: the agent is not there, is not the one expected, or refused us.
        """
        connection = await SshClient.connect(
            host, port, user=user, key=key, host_keys=host_keys, policy=policy, source=source
        )
        try:
            return await cls(await connection.open(), connection.close, patience=patience).begin()
        except BaseException:
            await connection.close()
            raise

    @classmethod
    async def over_tls(
        cls,
        host: str,
        port: int,
        *,
        tls: TlsContext,
        source: str | None = None,
        patience: float = limits.NETCONF_ANSWER,
    ) -> Self:
        """A session over TLS (RFC 7589).

        Args:
            host: name or address.
            port: TCP port.
            tls: `tls.management_client`, with the agent that is expected.
            source: local address.
            patience: as of the class.

        Raises:
            RemoteError: the agent is not there, is not the one expected, or refused us.
        """
        stream = await connect_tls(host, port, tls=tls, source=source)
        return await cls(stream, patience=patience).begin()

    # --- operations -----------------------------------------------------------------------------------------------

    async def get(self, *filters: Element, patience: float | None = None) -> Element:
        """Configuration and state: the `data` element.

        Args:
            filters: subtrees (RFC 6241 section 6); none for everything.
            patience: seconds.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        return await self._data(get(filters), patience)

    async def get_config(self, *filters: Element, source: str = "running", patience: float | None = None) -> Element:
        """Configuration: the `data` element. Arguments and errors as of `get`."""
        return await self._data(get_config(source, filters), patience)

    async def _data(self, request: Element, patience: float | None) -> Element:
        content = await self.call(request, patience=patience)
        if len(content) != 1 or content[0].tag != qualified(BASE, "data"):
            raise RemoteError("NETCONF get: the reply has no data")
        return content[0]

    async def edit(
        self,
        *config: Element,
        target: str = "running",
        default_operation: str | None = None,
        test_option: str | None = None,
        error_option: str | None = None,
        patience: float | None = None,
    ) -> None:
        """edit-config (RFC 6241 section 7.2).

        Args:
            config: top-level elements.
            target: datastore.
            default_operation: merge, replace or none.
            test_option: test-then-set, set or test-only.
            error_option: stop-on-error, continue-on-error or rollback-on-error.
            patience: seconds.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        options = {"default_operation": default_operation, "test_option": test_option, "error_option": error_option}
        await self.call(edit_config(target, config, **options), patience=patience)

    async def simple(self, name: str, **parameters: str | None) -> None:
        """An operation of NETCONF's own whose parameters are leaves, or datastores as `target="candidate"`.

        Args:
            name: such as "lock", "commit", "discard-changes".
            parameters: `_` stands for `-`; None for an empty leaf.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        request = operation(name)
        for parameter, value in parameters.items():
            if parameter in ("target", "source") and value is not None:
                child(child(request, parameter), value)
            else:
                child(request, parameter.replace("_", "-"), value)
        await self.call(request)

    async def get_schema(self, identifier: str, version: str | None = None) -> str:
        """The text of a YANG module (RFC 6022 section 3.1).

        Raises:
            RemoteError, RpcError: as `call`.
        """
        content = await self.call(get_schema(identifier, version))
        if len(content) != 1:
            raise RemoteError("NETCONF get-schema: the reply has no data")
        return content[0].text or ""

    async def subscribe(self, *filters: Element, start: datetime | None = None, stop: datetime | None = None) -> None:
        """create-subscription (RFC 5277 section 2.1.1); from then on `notifications` has events.

        Args:
            filters: subtrees; none for all events.
            start: replay what happened from then on.
            stop: end of the subscription; only with `start`.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        await self.call(create_subscription(filters, start, stop))
