"""What keys cost in link pad, from the agents' own counters.

A figure of 1 means that one bit of link pad goes for each bit of key on each hop: the least that a one-time pad allows. Above
that come tags, hash keys, link checks and what is burned. Counters are read before and after a load:

    spent = allocated − what stands in ready blocks + burned, plus the share of link checks

Ready blocks hold pad for keys to come, with their part of the hash keys: they are taken off by bytes. Burned pad counts in full,
though part of it had been allocated before and is counted twice then: the figure never flatters.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Final

import aiohttp
import msgspec

from quiver.domain.errors import RemoteError
from quiver.domain.network import PathEntry

__all__ = [
    "PadSnapshot",
    "Sample",
    "bits_per_key_bit_and_hop",
    "parse_metrics",
    "read_pad",
    "read_samples",
    "settled_pad",
]

Sample = tuple[str, dict[str, str], float]

_LINE: Final = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?")
_LABEL: Final = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)",?')
_UNESCAPED: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_CALM: Final = 0.15  # seconds between two readings that agree
_PATIENCE: Final = 5.0  # seconds until a reading is taken although they do not
_FETCH: Final = aiohttp.ClientTimeout(total=15.0)  # seconds; on a machine that does much else


class PadSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of the whole network at one moment, in bytes.

    Attributes:
        allocated: link pad that was ever allocated, over all hops.
        ready: path version → end-to-end pad in ready blocks at its source.
        hash_keys: path version → what of their hash keys belongs to that pad, shared out by bytes.
        taken: path version → end-to-end pad that keys and their tags have taken at its source.
        under_way: sequences without an outcome.
        collected: link pad that became usable, checks included.
        checks: link pad that checks of segments spent.
        burned: cause → pad burned.
        level: "node to neighbour" → pad that the node may still allocate.
        unknown: end-to-end pad in ready blocks of path versions that nobody knows: it cannot be accounted for.
    """

    allocated: int
    ready: dict[str, int]
    hash_keys: dict[str, float]
    taken: dict[str, int]
    under_way: int
    collected: int
    checks: int
    burned: dict[str, int]
    level: dict[str, int]
    unknown: int = 0

    @classmethod
    def of(cls, samples: Mapping[str, list[Sample]], entries: Mapping[str, PathEntry]) -> "PadSnapshot":
        """From what each agent shows.

        Args:
            samples: node → its samples.
            entries: path version → entry; ready blocks count at the source only, and only of these.
        """
        ready: dict[str, int] = {}
        hash_keys: dict[str, float] = {}
        taken: dict[str, int] = {}
        burned: dict[str, int] = {}
        level: dict[str, int] = {}
        totals = {"allocated": 0, "collected": 0, "checks": 0, "under_way": 0, "unknown": 0}
        names = {
            "quiver_pad_allocated_bytes_total": "allocated",
            "quiver_pad_collected_bytes_total": "collected",
            "quiver_link_check_bytes_total": "checks",
            "quiver_sequences_open": "under_way",
        }
        sources = {node: {key for key, entry in entries.items() if entry.source == node} for node in samples}
        for node, own in samples.items():
            for name, labels, value in own:
                if name in names:
                    totals[names[name]] += int(value)
                elif name == "quiver_block_ready_bytes" and labels["path"] in sources[node]:
                    ready[labels["path"]] = int(value)
                elif name == "quiver_block_ready_bytes" and labels["path"] not in entries:
                    totals["unknown"] += int(value)
                elif name == "quiver_block_hash_key_bytes" and labels["path"] in sources[node]:
                    hash_keys[labels["path"]] = value
                elif name == "quiver_path_taken_bytes_total" and labels["path"] in sources[node]:
                    taken[labels["path"]] = int(value)
                elif name == "quiver_pad_burned_bytes_total":
                    burned[labels["cause"]] = burned.get(labels["cause"], 0) + int(value)
                elif name == "quiver_pad_level_bytes":
                    level[f"{node} to {labels['neighbour']}"] = int(value)
        return cls(ready=ready, hash_keys=hash_keys, taken=taken, burned=burned, level=level, **totals)

    def standing(self, entries: Mapping[str, PathEntry]) -> float:
        """Link pad, over all hops, that stands in ready blocks, with their part of the hash keys."""
        left = ((key, count + self.hash_keys[key]) for key, count in self.ready.items())
        return sum(count * (len(entries[key].nodes) - 1) for key, count in left)


def parse_metrics(text: str) -> Iterator[Sample]:
    """The samples of a Prometheus text, format 0.0.4: name, labels, value. Lines of another form are passed over."""
    for line in text.splitlines():
        match = None if line.startswith("#") else _LINE.fullmatch(line.strip())
        if match is None:
            continue
        labels = {
            found["name"]: re.sub(r"\\.", lambda escape: _UNESCAPED.get(escape[0], escape[0]), found["value"])
            for found in _LABEL.finditer(match["labels"] or "")
        }
        try:
            yield match["name"], labels, float(match["value"])
        except ValueError:
            continue


async def read_samples(urls: Mapping[str, str]) -> dict[str, list[Sample]]:
    """What the metrics planes show, node → samples.

    Args:
        urls: node → `http://host:port`.

    Raises:
        RemoteError: one does not answer.
    """
    async with aiohttp.ClientSession(timeout=_FETCH) as session:

        async def fetch(node: str, url: str) -> tuple[str, list[Sample]]:
            try:
                async with session.get(f"{url}/metrics") as answer:
                    return node, list(parse_metrics(await answer.text()))
            except (aiohttp.ClientError, OSError) as error:
                raise RemoteError(f"metrics of {node}: {type(error).__name__}") from None

        return dict(await asyncio.gather(*(fetch(*one) for one in urls.items())))


async def read_pad(urls: Mapping[str, str], entries: Mapping[str, PathEntry]) -> PadSnapshot:
    """A snapshot from the metrics planes.

    Args:
        urls: node → `http://host:port`.
        entries: path version → entry; versions that are not there are passed over.

    Raises:
        RemoteError: one does not answer.
    """
    return PadSnapshot.of(await read_samples(urls), entries)


async def settled_pad(urls: Mapping[str, str], entries: Mapping[str, PathEntry]) -> PadSnapshot:
    """A snapshot at a moment when no sequence is under way and no buffer is being filled; after some time any snapshot.

    Raises:
        RemoteError: a metrics plane does not answer.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    before = await read_pad(urls, entries)
    while True:
        await asyncio.sleep(_CALM)
        now = await read_pad(urls, entries)
        calm = not now.under_way and (now.allocated, now.ready) == (before.allocated, before.ready)
        if calm or loop.time() > until:
            return now
        before = now


def bits_per_key_bit_and_hop(
    before: PadSnapshot,
    after: PadSnapshot,
    key_bytes: int,
    virtual_link: str,
    entries: Mapping[str, PathEntry],
) -> float | None:
    """Link pad spent between two snapshots, per bit of delivered key and hop (design section 10).

    None where it cannot be told: without keys, or with blocks that cannot be accounted for, or where a version was forgotten.

    Args:
        before: settled.
        after: settled; between the two only one virtual link was used.
        key_bytes: delivered meanwhile.
        virtual_link: its name. Its keys may have come over several path versions, each with hops of its own.
        entries: path version → entry.
    """
    if not key_bytes or before.unknown or after.unknown:
        return None
    standing = after.standing(entries) - before.standing(entries)
    spent = after.allocated - before.allocated - standing
    spent += sum(after.burned.values()) - sum(before.burned.values())
    usable = after.collected - after.checks
    checks = after.checks / usable if usable else 0.0
    of_link = {key for key in before.taken if entries[key].virtual_link == virtual_link}
    taken = {
        entries[key]: count - before.taken.get(key, 0)
        for key, count in after.taken.items()
        if entries[key].virtual_link == virtual_link
    }
    if of_link - after.taken.keys() or not (total := sum(taken.values())):
        return None
    hops = sum(count * (len(entry.nodes) - 1) for entry, count in taken.items()) / total
    return spent * (1 + checks) / (key_bytes * hops)
