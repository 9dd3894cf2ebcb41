"""The configuration of a consumer, a TOML file at each end of a tunnel. Paths in it are relative to the file.

[consumer]
role = "initiator"              # the other end is the "responder"

[kme]                           # the node of this site, ETSI GS QKD 014
url = "https://192.0.2.1:8443"
certificate = "sae-partner-gateway-1.pem"  # this SAE; ML-DSA or classical
private_key = "sae-partner-gateway-1.key"
trust = ["saes-pq-ca.pem"]
server_name = "urn:quiver:kme:alice"       # may be left out: the URL's host
timeout = 15.0                  # seconds; may be left out

[partner]                       # the other end, TLS 1.3 with X25519MLKEM768 and ML-DSA-65
sae = "gateway-2"               # whom its certificate has to name
address = "198.51.100.7:8460"   # the initiator's; the responder has listen = "198.51.100.7:8460"
source = "192.0.2.20"           # of the initiator's calls; may be left out
certificate = "sae-partner-gateway-1.pem"  # of the profile sae-partner
private_key = "sae-partner-gateway-1.key"
trust = ["saes-pq-ca.pem"]

[rollover]                      # may be left out
interval = 120                  # seconds from one key to the next; the initiator's counts: the responder's has to be the same
keep = 3600                     # seconds that the last proven key serves when no new one comes; interval + 150 at least
when_exhausted = "block"        # or "keep": what happens then

[wireguard]                     # or [strongswan], [exec] or [link]: exactly one of them
interface = "wg0"
peer = "jmS0HdJ9ymV2YZR7vnrvOfsULTYqCXwHmaS/OQlGoDo="  # public key of the other end
endpoint = "198.51.100.7:51820" # may be left out, as allowed_ips: the interface knows
allowed_ips = ["10.2.0.0/24"]   # needed where a blocked tunnel is to come back
keepalive = 10                  # seconds; 0 leaves it as it is

[strongswan]
name = "site-2"                 # of the connection, as swanctl shows it
socket = "/run/charon.vici"     # may be left out
fence = true                    # may be left out: drop what no IKE_SA takes

[strongswan.connection]         # the section connections.NAME of swanctl.conf
local_addrs = ["192.0.2.20"]
remote_addrs = ["198.51.100.7"]
local = {auth = "pubkey", id = "gateway-1.example"}
remote = {auth = "pubkey", id = "gateway-2.example"}
children.net = {local_ts = ["10.1.0.0/24"], remote_ts = ["10.2.0.0/24"]}

[exec]
command = ["/usr/local/bin/set-key"]  # a path that is not absolute is that of the consumer's working directory
steps = ["stage", "switch", "block"]  # also prove and retire; may be left out: ["switch"]
key_bits = 256                  # may be left out
timeout = 10                    # seconds of a call; may be left out

[link]                          # a demonstration
carrier = "udp"                 # or "tcp", "tun"
listen = "192.0.2.20:8470"      # where frames of the other end come to; tcp: the responder's alone
far = "198.51.100.7:8470"       # the other end's; tcp: the initiator's alone
entry = "127.0.0.1:9000"        # udp, tcp: the port for this side's users
target = "127.0.0.1:9001"       # udp, tcp: to whom what comes out is handed; may be left out
interface = "quiver0"           # tun: its name, instead of the two
rekey_bytes = 1073741824        # in both directions, after which a new key is wanted before its time; may be left out

[metrics]                       # plain HTTP; without this table there are none
listen = "127.0.0.1:9102"

[log]                           # may be left out
level = "INFO"                  # DEBUG, INFO, WARNING or ERROR
"""

from pathlib import Path
from typing import Final

from quiver.consume.config_tables import (
    ConsumerTable,
    ExecTable,
    KmeTable,
    LinkTable,
    PartnerTable,
    RolloverTable,
    StrongswanTable,
    WireguardTable,
)
from quiver.consume.ike_connection import check_connection, check_name
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.net.config_file import LogTable, MetricsTable, Table, path_hook, read_config
from quiver.protocols.toml import decode_toml

__all__ = ["KINDS", "ConsumerConfig", "parse_consumer", "read_consumer"]

KINDS: Final = (
    "wireguard",
    "strongswan",
    "exec",
    "link",
)  # tables of which a file has one; the words of `quiver consume`


class ConsumerConfig(Table, frozen=True, kw_only=True):
    """All of it, paths absolute."""

    consumer: ConsumerTable
    kme: KmeTable
    partner: PartnerTable
    rollover: RolloverTable = RolloverTable()
    wireguard: WireguardTable | None = None
    strongswan: StrongswanTable | None = None
    exec: ExecTable | None = None
    link: LinkTable | None = None
    metrics: MetricsTable | None = None
    log: LogTable = LogTable()

    @property
    def kind(self) -> str:
        """Which tunnel it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


def read_consumer(path: Path, kind: str | None = None) -> ConsumerConfig:
    """A consumer's configuration from a file.

    Args:
        path: the file.
        kind: what it has to be for; None for any.

    Raises:
        ConfigurationError: the file cannot be read, is for another kind, or as `parse_consumer`; it names the file.
    """
    config = read_config(path, parse_consumer)
    if kind is not None and config.kind != kind:
        raise ConfigurationError(f"{path}: is for {config.kind}, not for {kind}: quiver consume {config.kind} takes it")
    return config


def parse_consumer(text: str, base: Path) -> ConsumerConfig:
    """A consumer's configuration from TOML, its paths made absolute with `base`.

    Raises:
        ConfigurationError: it is no TOML, a key is unknown, missing or out of range, or what it says contradicts itself; it
            names the key.
    """
    config = decode_toml(text, ConsumerConfig, path_hook(base))
    found = [kind for kind in KINDS if getattr(config, kind) is not None]
    if len(found) != 1:
        raise ConfigurationError(
            f"one of the tables {', '.join(f'[{kind}]' for kind in KINDS)} is needed, not {len(found)}"
        )
    _check_partner(config)
    _check_exhausted(config)
    if config.strongswan is not None:
        check_name(config.strongswan.name)
        check_connection(config.strongswan.connection)
    if config.link is not None:
        _check_link(config.link, config.consumer.role)
    return config


def _check_partner(config: ConsumerConfig) -> None:
    wanted, other = ("address", "listen") if config.consumer.role == "initiator" else ("listen", "address")
    if getattr(config.partner, wanted) is None:
        raise ConfigurationError(f"partner.{wanted}: missing; a consumer of role {config.consumer.role} needs it")
    if getattr(config.partner, other) is not None:
        raise ConfigurationError(f"partner.{other}: is not for a consumer of role {config.consumer.role}")
    if config.partner.source is not None and config.consumer.role != "initiator":
        raise ConfigurationError("partner.source: is not for a consumer of role responder")


def _check_exhausted(config: ConsumerConfig) -> None:
    """A key lasts until the next one has been proven; what a blocked tunnel needs to come back, or to be blocked at all."""
    least = config.rollover.interval + limits.ROLLOVER_PROOF
    if config.rollover.keep < least:
        raise ConfigurationError(
            f"rollover.keep: at least {least:g} s are needed, rollover.interval and {limits.ROLLOVER_PROOF:g}: the next key may "
            f"take as long to be proven"
        )
    if config.rollover.when_exhausted != "block":
        return
    if config.wireguard is not None and not config.wireguard.allowed_ips:
        raise ConfigurationError(
            'wireguard.allowed_ips: missing; rollover.when_exhausted = "block" takes the peer away, and needs it to bring it back'
        )
    if config.exec is not None and "block" not in config.exec.steps:
        raise ConfigurationError('exec.steps: "block" is missing, which rollover.when_exhausted = "block" calls')


def _check_link(link: LinkTable, role: str) -> None:
    """Each carrier's keys, and no other's."""
    ports, ends = {"entry", "target"}, {"listen", "far"}
    match link.carrier:
        case "udp":
            needed, allowed = {"entry", *ends}, ports
        case "tun":
            needed, allowed = {"interface", *ends}, set()
        case "tcp":
            needed, allowed = {"far" if role == "initiator" else "listen"}, ports
    for key in ("listen", "far", "entry", "target", "interface"):
        there = getattr(link, key) is not None
        if key in needed and not there:
            raise ConfigurationError(f"link.{key}: missing; the carrier {link.carrier} of a {role} needs it")
        if there and key not in needed | allowed:
            raise ConfigurationError(f"link.{key}: is not for the carrier {link.carrier} of a {role}")
    if link.carrier == "tcp" and link.entry is None and link.target is None:
        raise ConfigurationError("link.entry: missing, and so is link.target; the carrier tcp needs one of them")
