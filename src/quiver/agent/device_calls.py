"""What an engine asks of its QKD devices, and what the node hears of it. Devices come and go while the agent runs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from quiver.agent.driver import Event
from quiver.domain import limits
from quiver.domain.collector import DeviceFetch, DeviceGet
from quiver.domain.device_watch import DeviceFacts
from quiver.net.log import place_of
from quiver.qkd.device import Device, DeviceError, DeviceStatus, Failure

__all__ = ["DeviceCalls"]

_log = structlog.get_logger("quiver.agent.devices")
_ANSWERS: Final = (Failure.REFUSED, Failure.NOT_FOUND)  # failures of a device that answers as the standard says
_GONE: Final = "no device"


class DeviceCalls:
    """Calls of one node's devices.

    Args:
        devices: link → this end's device.
        put: tells the engine what has happened, for the node that asked or for the present one.

    Attributes:
        facts: link → what its device has told.
    """

    def __init__(self, devices: Mapping[str, Device], put: Callable[[Event, int | None], None]) -> None:
        self._devices: Final = dict(devices)
        self._put: Final = put
        self._watches: Final[dict[str, asyncio.Task[None]]] = {}
        self._running = False
        self.facts: Final[dict[str, DeviceFacts]] = {}

    def start(self) -> None:
        """Read the status of all devices from now on."""
        self._running = True
        for link in self._devices:
            self._watches[link] = asyncio.create_task(self._watch(link))

    async def stop(self) -> None:
        """Read no status any more."""
        self._running = False
        watches = list(self._watches.values())
        self._watches.clear()
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    def configure(self, devices: Mapping[str, Device]) -> None:
        """Take up other devices; those that are the same object go on. A call of a device that is gone fails."""
        for link in [link for link, device in self._devices.items() if devices.get(link) is not device]:
            del self._devices[link]
            self.facts.pop(link, None)
            if link in self._watches:
                self._watches.pop(link).cancel()
        for link, device in devices.items():
            if link not in self._devices:
                self._devices[link] = device
                if self._running:
                    self._watches[link] = asyncio.create_task(self._watch(link))

    # --- calls that the node wants --------------------------------------------------------------------------------

    async def call(self, call: DeviceGet | DeviceFetch, life: int) -> None:
        """Make a call that the node of this life wants."""
        if isinstance(call, DeviceGet):
            await self._get(call, life)
        else:
            await self._fetch(call, life)

    def _device(self, link: str) -> Device:
        device = self._devices.get(link)
        if device is None:
            raise DeviceError(Failure.UNREACHABLE, _GONE)
        return device

    async def _get(self, call: DeviceGet, life: int) -> None:
        try:
            keys = await self._device(call.link).get_keys(call.number)
        except DeviceError as error:
            _log.info("device gave no keys", link=call.link, reason=error.message)
            silence = _silence(error)
            self._put(lambda driver: driver.node.ends.refused(call.link, silence), life)
        except Exception as error:  # noqa: BLE001  # whatever it is, the collector must not wait for good
            _log.error("device call failed", link=call.link, exception=place_of(error))
            self._put(lambda driver: driver.node.ends.refused(call.link, Failure.MALFORMED.value), life)
        else:
            found = [(key.key_id, key.key) for key in keys]
            self._put(lambda driver: driver.node.ends.got(call.link, found), life)

    async def _fetch(self, call: DeviceFetch, life: int) -> None:
        try:
            keys = await self._device(call.link).get_keys_by_id(call.key_ids)
        except DeviceError as error:
            _log.info("device gave no keys by their key_IDs", link=call.link, reason=error.message)
            again, silence = error.passing, _silence(error)
            self._put(lambda driver: driver.node.ends.fetch_failed(call, again=again, silence=silence), life)
        except Exception as error:  # noqa: BLE001  # as above
            _log.error("device call failed", link=call.link, exception=place_of(error))
            self._put(lambda driver: driver.node.ends.fetch_failed(call, again=False), life)
        else:
            found = [(key.key_id, key.key) for key in keys]
            self._put(lambda driver: driver.node.ends.fetched(call, found), life)

    # --- status ---------------------------------------------------------------------------------------------------

    async def _watch(self, link: str) -> None:
        """Read a device's status again and again, more often while something is not as it should be."""
        while True:
            pause = await self._read(link)
            await asyncio.sleep(pause)

    async def _read(self, link: str) -> float:
        """Read a status, tell the node, and give the seconds until the next reading."""
        try:
            async with asyncio.timeout(limits.DEVICE_STATUS):
                status = await self._device(link).status()
        except TimeoutError:
            return self._unread(link, Failure.UNREACHABLE.value, "no answer in time")
        except DeviceError as error:
            return self._unread(link, error.failure.value, error.message)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next reading may be right
            return self._unread(link, Failure.MALFORMED.value, place_of(error))
        size = status.status.key_size
        if size <= 0 or size % 8:
            _log.error("device is not used: its key_size is not in whole bytes", link=link, bits=size)
            return limits.DEVICE_POLL
        self.facts[link] = facts = _facts(status)
        self._put(lambda driver: driver.node.ends.facts(link, facts), None)
        noisy = facts.qber is not None and facts.qber > limits.QBER_NORMAL
        bad = noisy or facts.channel_up is False or facts.stored == 0
        return limits.DEVICE_POLL_BAD if bad else limits.DEVICE_POLL

    def _unread(self, link: str, silence: str, reason: str) -> float:
        _log.info("device does not tell its status", link=link, reason=reason)
        self._put(lambda driver: driver.node.ends.silent(link, silence), None)
        return limits.DEVICE_POLL_BAD if link in self.facts else limits.REPEAT_FIRST


def _silence(error: DeviceError) -> str:
    """The class of a failure that is no answer of the standard's; empty where it is one."""
    return "" if error.failure in _ANSWERS else error.failure.value


def _facts(status: DeviceStatus) -> DeviceFacts:
    told = status.status
    return DeviceFacts(
        key_size=told.key_size,
        most=max(1, told.max_key_per_request),
        stored=told.stored_key_count,
        channel_up=status.link_up,
        qber=status.qber,
    )
