"""What an engine asks of its QKD devices, and what the node hears of it."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import structlog

from quiver.agent.driver import Driver, Event
from quiver.domain import limits
from quiver.domain.collector import DeviceFacts, DeviceFetch, DeviceGet
from quiver.net.log import place_of
from quiver.qkd.device import Device, DeviceError, Failure

__all__ = ["DeviceCalls"]

_log = structlog.get_logger("quiver.agent.devices")
_STATUS: Final = 30.0  # seconds between two readings of a device's status


class DeviceCalls:
    """Calls of one node's devices.

    Args:
        devices: link → this end's device.
        put: tells the engine what has happened, for the node that asked or for the present one.
    """

    def __init__(self, devices: Mapping[str, Device], put: Callable[[Event, int | None], None]) -> None:
        self._devices: Final = devices
        self._put: Final = put
        self.facts: Final[dict[str, DeviceFacts]] = {}  # link → what its device has told

    @property
    def links(self) -> list[str]:
        """The links that have a device."""
        return list(self._devices)

    async def call(self, call: DeviceGet | DeviceFetch, life: int) -> None:
        """Make a call that the node of this life wants."""
        if isinstance(call, DeviceGet):
            await self._get(call, life)
        else:
            await self._fetch(call, life)

    async def _get(self, call: DeviceGet, life: int) -> None:
        try:
            keys = await self._devices[call.link].get_keys(call.number)
        except DeviceError as error:
            _log.info("device gave no keys", link=call.link, reason=error.message)
            self._put(lambda driver: driver.node.refused(call.link), life)
        except Exception as error:  # noqa: BLE001  # whatever it is, the collector must not wait for good
            _log.error("device call failed", link=call.link, exception=place_of(error))
            self._put(lambda driver: driver.node.refused(call.link), life)
        else:
            found = [(key.key_id, key.key) for key in keys]
            self._put(lambda driver: driver.node.got(call.link, found), life)

    async def _fetch(self, call: DeviceFetch, life: int) -> None:
        try:
            keys = await self._devices[call.link].get_keys_by_id(call.key_ids)
        except DeviceError as error:
            again = error.failure not in (Failure.MALFORMED, Failure.UNAUTHORIZED)
            _log.info("device gave no keys by their key_IDs", link=call.link, reason=error.message)
            self._put(lambda driver: driver.node.fetch_failed(call, again=again), life)
        except Exception as error:  # noqa: BLE001  # as above
            _log.error("device call failed", link=call.link, exception=place_of(error))
            self._put(lambda driver: driver.node.fetch_failed(call, again=False), life)
        else:
            found = [(key.key_id, key.key) for key in keys]
            self._put(lambda driver: driver.node.fetched(call, found), life)

    async def watch(self, link: str) -> None:
        """Read a device's status, at first until it answers, then from time to time."""
        pause = limits.REPEAT_FIRST
        while True:
            try:
                status = (await self._devices[link].status()).status
            except DeviceError as error:
                _log.warning("device does not tell its status", link=link, reason=error.message)
                await asyncio.sleep(pause)
                pause = min(2 * pause, limits.REPEAT_MOST)
                continue
            if status.key_size <= 0 or status.key_size % 8:
                _log.error("device is not used: its key_size is not in whole bytes", link=link, bits=status.key_size)
            else:
                facts = DeviceFacts(key_size=status.key_size, most=max(1, status.max_key_per_request))
                self.facts[link] = facts
                self._put(partial(_note, link=link, facts=facts), None)
            pause = limits.REPEAT_FIRST
            await asyncio.sleep(_STATUS)


def _note(driver: Driver, *, link: str, facts: DeviceFacts) -> None:
    driver.node.facts(link, facts)
