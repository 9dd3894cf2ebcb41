"""What an agent sees of its QKD device: one interface, whether the device is real, simulated or in this process."""

import enum
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from quiver.domain.errors import KeyNotFoundError, QuiverError, RemoteError, UnauthorizedError
from quiver.domain.secret import Secret
from quiver.protocols.etsi014 import Extension, KeyIDs, KeyRequest, Status
from quiver.qkd.kme import Kme
from quiver.qkd.profiles import Dialect

__all__ = ["Device", "DeviceError", "DeviceKey", "DeviceStatus", "DirectDevice", "Failure", "read_status"]


_T = TypeVar("_T")


class Failure(enum.Enum):
    """Why a device gave nothing; what to do about it differs."""

    NOT_FOUND = "not found"  # Get key with key IDs: perhaps not yet there, ask again for a bounded time
    REFUSED = "empty or refused"  # no keys left, or it will not do this now: ask later
    UNAUTHORIZED = "unauthorised"  # our certificate: an operator has to act
    UNREACHABLE = "unreachable"  # no answer: a network, a device or its time-out
    MALFORMED = "malformed"  # an answer that is no ETSI GS QKD 014: void what was asked


class DeviceError(RemoteError):
    """A device did not give what it was asked for.

    Args:
        failure: its class.
        message: what was asked and what came back, without key material.
        status: the HTTP status, 0 where none came.
    """

    def __init__(self, failure: Failure, message: str, *, status: int = 0) -> None:
        super().__init__(f"{failure.value}: {message}", status=status)
        self.failure = failure

    @property
    def passing(self) -> bool:
        """Whether the same call may bring something later, without anybody's help."""
        return self.failure not in (Failure.MALFORMED, Failure.UNAUTHORIZED)


class DeviceKey(msgspec.Struct, frozen=True):
    """A key of a QKD link, its key_ID in the case in which the device spells it."""

    key_id: str
    key: Secret

    @property
    def name(self) -> str:
        """The key_ID for comparison: without case."""
        return self.key_id.lower()


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says about itself, and about its link where its vendor tells.

    Args:
        status: the standard's members.
        qber: error rate as a fraction (CV: excess noise in shot noise units); None where it is not told.
        link_up: state of the quantum channel; None where it is not told.
    """

    status: Status
    qber: float | None = None
    link_up: bool | None = None


class Device(Protocol):
    """The southbound side: all methods raise `DeviceError` only."""

    async def status(self) -> DeviceStatus:
        """Get status."""
        ...

    async def get_keys(self, number: int, size: int | None = None) -> list[DeviceKey]:
        """Get key: at least one and at most `number` new keys of `size` bits (None: the device's own size).

        Devices bound the keys of one request, and some give what is left: ask again for the rest.
        """
        ...

    async def get_keys_by_id(self, key_ids: Sequence[str]) -> list[DeviceKey]:
        """Get key with key IDs: these keys, in this order, each under the key_ID that was asked for.

        At least one; those that came late are missing: ask again for them alone, since no device hands a key out twice.
        """
        ...


def _at(extension: Extension | None, field: str | None) -> object:
    """The value at a dotted place, None where there is none."""
    value: object = extension
    for name in field.split(".") if field else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if field else None


def read_status(status: Status, dialect: Dialect) -> DeviceStatus:
    """A Status with the vendor's extensions understood; what is not of the expected form counts as not told."""
    qber = _at(status.status_extension, dialect.qber_field)
    state = _at(status.status_extension, dialect.state_field)
    number = isinstance(qber, (int, float)) and not isinstance(qber, bool)
    return DeviceStatus(
        status=status,
        qber=float(qber) * dialect.qber_scale if number else None,  # type: ignore[arg-type]
        link_up=None if state is None else any(state is up or state == up for up in dialect.up_values),
    )


class DirectDevice:
    """A simulated KME in this process: for tests and the network simulation.

    `reachable` set to False is the fault *one-side*.
    """

    def __init__(self, kme: Kme, dialect: Dialect) -> None:
        self.reachable = True
        self._kme = kme
        self._dialect = dialect

    async def status(self) -> DeviceStatus:
        """Get status.

        Raises:
            DeviceError: the device is unreachable.
        """
        return read_status(self._ask(self._kme.status), self._dialect)

    async def get_keys(self, number: int, size: int | None = None) -> list[DeviceKey]:
        """Get key.

        Raises:
            DeviceError: as a device behind a network would give it.
        """
        request = KeyRequest(number=min(number, self._kme.limits.max_keys), size=size)
        container = self._ask(lambda: self._kme.get_key(request))
        return [DeviceKey(key.key_id, key.key) for key in container.keys]

    async def get_keys_by_id(self, key_ids: Sequence[str]) -> list[DeviceKey]:
        """Get key with key IDs.

        Raises:
            DeviceError: as a device behind a network would give it.
        """
        found: list[DeviceKey] = []
        most = self._kme.limits.max_keys
        for start in range(0, len(key_ids), most):
            wanted = list(key_ids[start : start + most])
            try:
                container = self._ask(partial(self._kme.get_key_with_ids, KeyIDs.of(wanted)))
            except DeviceError as error:
                if found and error.passing:
                    break
                raise
            found += [DeviceKey(name, key.key) for name, key in zip(wanted, container.keys, strict=True)]
        return found

    def _ask(self, call: Callable[[], _T]) -> _T:
        if not self.reachable:
            raise DeviceError(Failure.UNREACHABLE, "no answer")
        try:
            return call()
        except QuiverError as error:
            raise _classified(error) from None


def _classified(error: QuiverError) -> DeviceError:
    match error:
        case KeyNotFoundError():
            failure = Failure.NOT_FOUND
        case UnauthorizedError():
            failure = Failure.UNAUTHORIZED
        case _:
            failure = Failure.REFUSED
    return DeviceError(failure, error.message, status=error.status)
