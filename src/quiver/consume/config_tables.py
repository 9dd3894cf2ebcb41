"""The tables of a consumer's configuration. `quiver.consume.config` shows a whole file."""

import base64
import binascii
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from msgspec import Meta

from quiver.consume.end import WhenExhausted
from quiver.domain import limits
from quiver.net.addresses import Address, ListenAddress, SourceAddress
from quiver.net.config_file import Table
from quiver.net.tls import Credentials

__all__ = [
    "ConsumerTable",
    "ExecTable",
    "KmeTable",
    "LinkTable",
    "NetworkPrefix",
    "PartnerTable",
    "PublicKey",
    "RolloverTable",
    "StrongswanTable",
    "WireguardTable",
]

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Interface = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_=+.-]{1,15}$")]


class ConsumerTable(Table, frozen=True, kw_only=True):
    """Which end of the tunnel this is: the initiator is the master SAE, the responder the slave."""

    role: Literal["initiator", "responder"]


class KmeTable(Table, frozen=True, kw_only=True):
    """The node of this site.

    Attributes:
        url: `https://host:port`.
        certificate: of this SAE; ML-DSA or classical.
        trust: bundles of the KMEs' authority.
        server_name: the name in the KME's certificate, where that is not the URL's host.
        timeout: of a call, in seconds; more than the node's time to wait for keys.
    """

    url: Text
    certificate: Path
    private_key: Path
    trust: Annotated[tuple[Path, ...], Meta(min_length=1)]
    server_name: Text | None = None
    timeout: Annotated[float, Meta(ge=1, le=limits.DELIVERY_WAIT_MAX)] = 15.0

    @property
    def credentials(self) -> Credentials:
        """Certificate and key."""
        return Credentials(self.certificate, self.private_key)


class PartnerTable(Table, frozen=True, kw_only=True):
    """The other end.

    Attributes:
        sae: its SAE ID, which its certificate has to name.
        address: where the responder listens; the initiator's to know.
        listen: likewise; the responder's to know.
        source: local address of the initiator's calls.
        certificate: of this SAE, of the profile `sae-partner`: ML-DSA-65.
        trust: bundles of the SAEs' post-quantum authority.
    """

    sae: Annotated[str, Meta(min_length=1, max_length=limits.SAE_ID_LENGTH)]
    address: Address | None = None
    listen: ListenAddress | None = None
    source: SourceAddress | None = None
    certificate: Path
    private_key: Path
    trust: Annotated[tuple[Path, ...], Meta(min_length=1)]

    @property
    def credentials(self) -> Credentials:
        """Certificate and key."""
        return Credentials(self.certificate, self.private_key)


class RolloverTable(Table, frozen=True, kw_only=True):
    """When keys change, in seconds.

    Attributes:
        interval: from one key to the next. The initiator's counts; the responder's has to be the same, as `keep` depends on it.
        keep: how long the last proven key serves when no new one comes; at least `interval` and the time to prove one.
        when_exhausted: what happens then.
    """

    interval: Annotated[float, Meta(ge=limits.ROLLOVER_INTERVAL_MIN, le=limits.ROLLOVER_INTERVAL_MAX)] = (
        limits.ROLLOVER_INTERVAL
    )
    keep: Annotated[float, Meta(ge=1, le=limits.ROLLOVER_KEEP_MAX)] = limits.ROLLOVER_KEEP
    when_exhausted: WhenExhausted = "block"


class PublicKey(str):
    """A public key of WireGuard: 32 bytes in base64.

    Raises:
        ValueError: it is none.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The key from its text."""
        try:
            right = len(text) == 44 and len(base64.b64decode(text, validate=True)) == 32
        except binascii.Error:
            right = False
        if not right:
            message = f"{text[:44]!r} is not allowed; a public key of WireGuard, 32 bytes in base64, is"
            raise ValueError(message)
        return super().__new__(cls, text)


class NetworkPrefix(str):
    """A network of IPv4 or IPv6 with the length of its prefix, as `wg` takes it: bits of a host may be set.

    Raises:
        ValueError: it is none.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The network from its text."""
        address, _, length = text.partition("/")
        try:
            right = length.isascii() and length.isdigit() and bool(ip_network(f"{address}/{int(length)}", strict=False))
        except ValueError:
            right = False
        if not right:
            message = f"{text[:49]!r} is not allowed; a network such as 10.2.0.0/24 or 2001:db8::/32 is"
            raise ValueError(message)
        return super().__new__(cls, text)


class WireguardTable(Table, frozen=True, kw_only=True):
    """One peer of one interface.

    Attributes:
        interface: its name.
        peer: public key of the other end.
        endpoint: where that is; may be left out where the interface knows.
        allowed_ips: networks behind it; likewise, but needed where a blocked tunnel is to come back.
        keepalive: seconds between two packets on an idle tunnel, so that handshakes go on; 0 leaves it as it is.
        program: the tool.
    """

    interface: Interface
    peer: PublicKey
    endpoint: Address | None = None
    allowed_ips: tuple[NetworkPrefix, ...] = ()
    keepalive: Annotated[int, Meta(ge=0, le=65_535)] = 10
    program: Text = "wg"


class StrongswanTable(Table, frozen=True, kw_only=True):
    """One connection of one charon.

    Attributes:
        name: the connection's, as swanctl shows it.
        connection: the section `connections.NAME` of swanctl.conf; `quiver.consume.ike_connection` checks it.
        socket: of charon's plug-in vici.
        fence: whether policies drop what goes between the networks while no IKE_SA takes it.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    connection: dict[str, Any]
    socket: Path = Path("/run/charon.vici")
    fence: bool = True


class ExecTable(Table, frozen=True, kw_only=True):
    """A program of the user's.

    Attributes:
        command: its path and arguments.
        steps: for which it is called.
        key_bits: size of its keys.
        timeout: of a call, in seconds.
    """

    command: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=limits.PROGRAM_WORDS)]
    steps: frozenset[Literal["stage", "switch", "prove", "retire", "block"]] = frozenset({"switch"})
    key_bits: Annotated[int, Meta(ge=limits.KEY_SIZE_MIN, le=limits.KEY_SIZE_MAX, multiple_of=8)] = (
        limits.KEY_SIZE_DEFAULT
    )
    timeout: Annotated[float, Meta(gt=0, le=limits.PROGRAM_TIME_MAX)] = limits.PROGRAM_TIME


class LinkTable(Table, frozen=True, kw_only=True):
    """The link encryptor of our own, a demonstration. Which addresses are needed depends on carrier and role.

    Attributes:
        carrier: what carries frames, and what they carry.
        listen: where frames of the other end come to; with tcp the responder's alone.
        far: where the other end listens; with tcp the initiator's alone.
        entry: udp and tcp: the port for this side's users.
        target: udp and tcp: to whom what comes out is handed; with udp whoever sent to `entry` last, where it is left out.
        interface: tun: its name.
        rekey_bytes: bytes in both directions after which a new key is wanted before its time.
    """

    carrier: Literal["udp", "tcp", "tun"]
    listen: ListenAddress | None = None
    far: Address | None = None
    entry: ListenAddress | None = None
    target: Address | None = None
    interface: Interface | None = None
    rekey_bytes: Annotated[int, Meta(ge=limits.ENCRYPTOR_BYTES_MIN, le=limits.ENCRYPTOR_BYTES_MAX)] = (
        limits.ENCRYPTOR_BYTES
    )
