"""How a consumer that runs is, from its metrics plane."""

from typing import Any, Final

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from quiver.domain.errors import RemoteError

__all__ = ["read_status", "words_of"]

Status = dict[str, Any]

_TIME: Final = aiohttp.ClientTimeout(total=5.0)  # seconds
_PREFIX: Final = "quiver_consumer_"
_PLAIN: Final = ("rollovers_total", "keys_total", "key_age_seconds", "expired", "blocked", "partner_up")


async def read_status(url: str) -> Status:
    """What a consumer tells.

    Args:
        url: `http://host:port` of its metrics plane.

    Raises:
        RemoteError: it does not answer, or is no consumer.
    """
    try:
        async with aiohttp.ClientSession(timeout=_TIME) as session:
            async with session.get(f"{url}/metrics") as answer:
                text = await answer.text()
            async with session.get(f"{url}/health") as answer:
                health = msgspec.json.decode(await answer.read(), type=dict[str, str])
    except (aiohttp.ClientError, TimeoutError, ValueError, UnicodeDecodeError) as error:
        raise RemoteError(f"{url}: no consumer answers ({type(error).__name__})") from None
    try:
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    except ValueError:
        raise RemoteError(f"{url}: what is there is no consumer") from None
    ours = [(one.name.removeprefix(_PREFIX), one.labels, one.value) for one in samples if one.name.startswith(_PREFIX)]
    if not ours:
        raise RemoteError(f"{url}: what is there is no consumer")
    plain = {name: value for name, labels, value in ours if "cause" not in labels}
    return {
        "tunnel": ours[0][1]["tunnel"],
        "role": ours[0][1]["role"],
        "trouble": health.get("reason"),
        "rollovers": int(plain["rollovers_total"]),
        "keys": int(plain["keys_total"]),
        "key_age_seconds": round(plain["key_age_seconds"], 1),
        "expired": bool(plain["expired"]),
        "blocked": bool(plain["blocked"]),
        "partner_up": bool(plain["partner_up"]),
        "failures": {labels["cause"]: int(value) for name, labels, value in ours if name == "failures_total"},
        "own": {name: value for name, value in plain.items() if name not in _PLAIN and not name.endswith("_created")},
    }


def words_of(status: Status) -> str:
    """The same for people."""
    failures = ", ".join(f"{count} {cause}" for cause, count in status["failures"].items() if count) or "none"
    rows = {
        "consumer": f"{status['tunnel']}, {status['role']}",
        "state": status["trouble"] or "well",
        "rollovers": f"{status['rollovers']}, counted by both ends",
        "key in use": f"last one proven {status['key_age_seconds']:.0f} s ago, number {status['keys']} since the start",
        "partner": "heard" if status["partner_up"] else "not heard",
        "failures": failures,
        **{name.replace("_", " "): f"{value:g}" for name, value in status["own"].items()},
    }
    return "".join(f"{name:28}{value}\n" for name, value in rows.items())
