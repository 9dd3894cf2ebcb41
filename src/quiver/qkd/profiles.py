"""Vendor profiles: how QKD devices differ behind the same ETSI GS QKD 014.

The five vendors are invented and named after trees; each quirk was seen in a product's or an open KME's handling of
the standard. A profile has two halves: the `Dialect`, which an agent has to know to talk to the device, and the rest,
which only the simulator needs.
"""

import enum
import json
import re
from typing import Final

import msgspec

from quiver.domain.errors import ConfigurationError, KeyNotFoundError, QuiverError, UnavailableError
from quiver.protocols import etsi014
from quiver.qkd.rates import CvGaussian, DecoyBb84

__all__ = ["PROFILES", "Body", "Dialect", "Profile", "Refusal", "profile_named"]


class Body(enum.Enum):
    """The form of an error's body."""

    STANDARD = "standard"  # Error of clause 6.5
    DETAIL = "detail"  # {"detail": …}, as a web framework's default
    TEXT = "text"  # plain text
    EMPTY = "empty"


class Refusal(msgspec.Struct, frozen=True):
    """The HTTP status and body that a device gives for one kind of error."""

    status: int
    body: Body = Body.STANDARD

    def render(self, error: QuiverError) -> tuple[int, str, bytes]:
        """Status, content type and body for an error."""
        match self.body:
            case Body.STANDARD:
                return self.status, "application/json", etsi014.encode(etsi014.error_of(error))
            case Body.DETAIL:
                return self.status, "application/json", json.dumps({"detail": error.message}).encode()
            case Body.TEXT:
                return self.status, "text/plain", error.message.encode()
            case Body.EMPTY:
                return self.status, "text/plain", b""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has to know of a vendor's ETSI GS QKD 014.

    Args:
        get: the device answers GET on enc_keys and dec_keys.
        post: the device answers POST there.
        qber_field: dotted place of the error rate in `status_extension`; None where it is not told.
        qber_scale: factor that makes that number a fraction (0.01 where it is in percent).
        state_field: dotted place of the link state in `status_extension`; None where it is not told.
        up_values: what that member holds while the link is up.
    """

    get: bool = True
    post: bool = True
    qber_field: str | None = None
    qber_scale: float = 1.0
    state_field: str | None = None
    up_values: tuple[str | bool | int, ...] = ("up",)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor's device. Sizes in bits, times in seconds.

    Args:
        name: what configurations call it.
        physics: the secret key rate formula with this device's parameters.
        key_size: default size; `min_key_size` and `max_key_size` bound others.
        max_keys: most keys in one request.
        buffer_keys: room for keys of `key_size`.
        upper_case: key_IDs come in upper case.
        exact_case: key_IDs are found in exactly the case in which they were given.
        partial: with too few keys left it gives what it has, instead of refusing.
        key_metadata: a `key_extension` on each key; `id_metadata` a `key_ID_extension`, `container_metadata` a
            `key_container_extension`.
        delay: time that each answer takes.
        exhausted, not_found, bad_request: its answers to these errors.
        keep: how long a key waits for the other end to fetch it.
    """

    name: str
    physics: DecoyBb84 | CvGaussian
    dialect: Dialect
    key_size: int = 256
    min_key_size: int
    max_key_size: int
    max_keys: int
    buffer_keys: int
    upper_case: bool = False
    exact_case: bool = False
    partial: bool = False
    key_metadata: bool = False
    id_metadata: bool = False
    container_metadata: bool = False
    delay: float = 0.0
    exhausted: Refusal = Refusal(503)
    not_found: Refusal = Refusal(400)
    bad_request: Refusal = Refusal(400)
    keep: float = 3600.0

    @property
    def verbs(self) -> tuple[str, ...]:
        """HTTP methods for enc_keys and dec_keys."""
        return ("GET",) * self.dialect.get + ("POST",) * self.dialect.post

    def render(self, error: QuiverError) -> tuple[int, str, bytes]:
        """Status, content type and body with which this vendor reports an error."""
        if isinstance(error, KeyNotFoundError):
            return self.not_found.render(error)
        if isinstance(error, UnavailableError):
            return self.exhausted.render(error)
        if error.status in {401, 413}:
            return Refusal(error.status, self.bad_request.body).render(error)
        return self.bad_request.render(error)


_ALL: Final = (
    # To the letter of the standard, modern 1 GHz decoy BB84 for metropolitan distances.
    Profile(
        name="alder",
        physics=DecoyBb84(
            pulse_rate=1e9, receiver=0.1, misalignment=0.01, background=1e-6, correction=1.16, signal_share=0.9
        ),
        dialect=Dialect(qber_field="alder_qber", state_field="alder_link_state", up_values=("up",)),
        min_key_size=64,
        max_key_size=4096,
        max_keys=128,
        buffer_keys=20_000,
    ),
    # POST only, key_IDs in upper case, metadata on each key, unknown keys are 404 in a web framework's words.
    Profile(
        name="birch",
        physics=DecoyBb84(
            pulse_rate=1e9, receiver=0.08, misalignment=0.015, background=2e-6, correction=1.18, signal_share=0.8
        ),
        dialect=Dialect(get=False, state_field="birch.channel.operational", up_values=(True,)),
        key_size=512,
        min_key_size=512,
        max_key_size=512,
        max_keys=20,
        buffer_keys=8_000,
        upper_case=True,
        exact_case=True,
        key_metadata=True,
        id_metadata=True,
        not_found=Refusal(404, Body.DETAIL),
        exhausted=Refusal(503, Body.DETAIL),
        bad_request=Refusal(422, Body.DETAIL),
    ),
    # Continuous variables: no QBER but excess noise, large odd keys, gives what it has.
    Profile(
        name="cedar",
        physics=CvGaussian(symbol_rate=50e6),
        dialect=Dialect(get=False, qber_field="cedar_excess_noise"),
        key_size=2048,
        min_key_size=2048,
        max_key_size=2048,
        max_keys=32,
        buffer_keys=2_000,
        partial=True,
        container_metadata=True,
    ),
    # An old plug-and-play device: GET only, short keys, slow, says nothing about its link, 400 for everything.
    Profile(
        name="dogwood",
        physics=DecoyBb84(pulse_rate=50e6),
        dialect=Dialect(post=False),
        key_size=128,
        min_key_size=128,
        max_key_size=128,
        max_keys=64,
        buffer_keys=4_096,
        delay=0.05,
        exhausted=Refusal(400, Body.TEXT),
        not_found=Refusal(400, Body.TEXT),
        bad_request=Refusal(400, Body.TEXT),
    ),
    # QBER in percent, state as a number, an empty 503 when dry, metadata on the container.
    Profile(
        name="elm",
        physics=DecoyBb84(pulse_rate=312.5e6, receiver=0.15, misalignment=0.012, background=8e-7, correction=1.2),
        dialect=Dialect(qber_field="elm.qber_percent", qber_scale=0.01, state_field="elm.state", up_values=(1,)),
        min_key_size=128,
        max_key_size=1024,
        max_keys=50,
        buffer_keys=10_000,
        upper_case=True,
        container_metadata=True,
        exhausted=Refusal(503, Body.EMPTY),
        not_found=Refusal(404, Body.STANDARD),
    ),
)

PROFILES: Final = {profile.name: profile for profile in _ALL}
"""All profiles by name."""


def profile_named(name: str) -> Profile:
    """The profile of this name.

    Raises:
        ConfigurationError: there is none; the message lists those there are.
    """
    if name not in PROFILES:
        raise ConfigurationError(f"profile: {name!r} is unknown; allowed are {', '.join(sorted(PROFILES))}")
    return PROFILES[name]


LINK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of links, which become names of files."""
