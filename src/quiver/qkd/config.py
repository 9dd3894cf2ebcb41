"""The configuration of one simulated QKD link, a TOML file.

name = "a-b"              # names the files in the state directory
profile = "alder"         # the vendor
length_km = 25.0
loss_db_per_km = 0.2      # may be left out, as the next four
extra_loss_db = 0.0
time_scale = 1.0          # seconds of channel time per second
seed = 7                  # of the fluctuation only; keys come from the operating system
state = "state"           # directory for the control socket and the ready file

[[ends]]                  # exactly two
kme_id = "KME-A"
sae_id = "node-a"         # the one caller: a name in its certificate
host = "127.0.0.1"        # may be left out
port = 0                  # 0: any free port, told in the ready file; may be left out
certificate = "kme-a.pem" # paths are relative to this file
private_key = "kme-a.key"
clients_ca = "ca.pem"
channel = { port = 0, far_host = "127.0.0.1", far_port = 8443 }  # end of the classical channel; at both ends or at none
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from quiver.domain.errors import ConfigurationError, RequestError
from quiver.protocols.etsi014_urls import check_sae_id
from quiver.protocols.toml import decode_toml
from quiver.qkd.channel import Fibre
from quiver.qkd.classical import Mouth
from quiver.qkd.kme import End
from quiver.qkd.profiles import LINK_NAME, Profile, profile_named

__all__ = ["EndConfig", "LinkConfig", "parse_link", "read_link"]


class EndConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One end of a link: names, listen address, TLS files, and the end of the classical channel that its agent sends into."""

    kme_id: Annotated[str, Meta(min_length=1, max_length=128)]
    sae_id: str
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    certificate: str
    private_key: str
    clients_ca: str
    channel: Mouth | None = None

    @property
    def names(self) -> End:
        """The names alone."""
        return End(kme_id=self.kme_id, sae_id=self.sae_id)


class LinkConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link: lengths in km, losses in dB."""

    name: str
    profile: str
    length_km: Annotated[float, Meta(ge=0, le=1_000)]
    loss_db_per_km: Annotated[float, Meta(gt=0, le=10)] = 0.2
    extra_loss_db: Annotated[float, Meta(ge=0, le=100)] = 0.0
    time_scale: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    seed: int | None = None
    state: str = "state"
    ends: Annotated[tuple[EndConfig, ...], Meta(min_length=2, max_length=2)]

    @property
    def vendor(self) -> Profile:
        """The profile itself."""
        return profile_named(self.profile)

    @property
    def mouths(self) -> tuple[Mouth, ...]:
        """The ends of the classical channel, two or none."""
        return tuple(end.channel for end in self.ends if end.channel is not None)

    @property
    def fibre(self) -> Fibre:
        """Length and loss."""
        return Fibre(length_km=self.length_km, loss_db_per_km=self.loss_db_per_km, extra_loss_db=self.extra_loss_db)


def parse_link(text: str, base: Path) -> LinkConfig:
    """A link's configuration from TOML, its paths made absolute with `base`.

    Raises:
        ConfigurationError: it is no TOML, or a key is unknown, missing or out of range; it names the key.
    """
    config = decode_toml(text, LinkConfig)
    if not LINK_NAME.fullmatch(config.name):
        raise ConfigurationError("name: 1 to 64 letters, digits, '.', '_' and '-' are allowed")
    profile_named(config.profile)
    for i, end in enumerate(config.ends):
        try:
            check_sae_id(end.sae_id, f"ends[{i}].sae_id")
        except RequestError as error:
            raise ConfigurationError(error.message) from None
    if config.ends[0].sae_id == config.ends[1].sae_id or config.ends[0].kme_id == config.ends[1].kme_id:
        raise ConfigurationError("ends: the two need different names")
    if len(config.mouths) == 1:
        raise ConfigurationError("ends: channel belongs to both ends or to none")
    return msgspec.structs.replace(
        config,
        state=str(base / config.state),
        ends=tuple(
            msgspec.structs.replace(
                end,
                certificate=str(base / end.certificate),
                private_key=str(base / end.private_key),
                clients_ca=str(base / end.clients_ca),
            )
            for end in config.ends
        ),
    )


def read_link(path: Path) -> LinkConfig:
    """A link's configuration from a file.

    Raises:
        ConfigurationError: the file cannot be read, or as `parse_link`; it names the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigurationError(f"{path}: {reason}") from None
    try:
        return parse_link(text, path.resolve().parent)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
