"""What must hold after every run. Each check returns sentences about what it found; none means that all is well."""

import base64
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from quiver.domain import key_ids, records
from quiver.domain.destination import RANGE
from quiver.domain.messages import Announcement, Ciphertext, Container, Credit
from quiver.domain.records import (
    Block,
    Burned,
    Part,
    PartState,
    Record,
    Relayed,
    RelayedState,
    Route,
    Segment,
    SegmentState,
    Sent,
)
from tests.key_forms import forms_of

from .load import Asked, Load
from .pad_check import PadBook
from .scenery import Scenery
from .site import Site


def pad_bytes_are_used_once(scenery: Scenery) -> list[str]:
    return PadBook(scenery).violations


def key_ids_name_one_value(load: Load) -> list[str]:
    values: dict[str, set[bytes]] = defaultdict(set)
    for asked in load.asked:
        for key_id, key in asked.keys.items():
            values[key_id].add(key)
    for attempt in load.fetched:
        if attempt.key is not None:
            values[attempt.key_id].add(attempt.key)
    return [f"{key_id} has {len(found)} values" for key_id, found in values.items() if len(found) > 1]


def answered_keys_are_fetched_once(load: Load, scenery: Scenery) -> list[str]:
    """What a master got, each slave gets exactly once; at most once what its node stored before it burned its keys by the rules.

    A node whose storage went back may give a key again that a lost past has given, until a peer shows it what was seen of it, if
    any saw it.
    """
    got: dict[tuple[str, str], list[float]] = defaultdict(list)
    lost: set[tuple[str, str]] = set()
    for attempt in load.fetched:
        if attempt.key is not None:
            got[attempt.key_id, attempt.slave].append(attempt.time)
        if attempt.lost:
            lost.add((attempt.key_id, attempt.slave))
    homes = scenery.homes
    found = []
    for (key_id, slave), times in got.items():
        if len(times) > 1 and not _given_by_a_lost_past(scenery.sites[homes[slave]], times):
            found.append(f"{slave} got {key_id} {len(times)} times")
    for asked in load.asked:
        site = scenery.sites[asked.far]
        burned_at = max(site.rolled_back_at, *site.burns, float("-inf"))
        for key_id in asked.keys:
            if site.stored.get(key_ids.parse(key_id)[0], float("inf")) <= burned_at:
                continue
            for name in [(key_id, slave) for slave in asked.slaves]:
                if not got[name] and name not in lost:
                    errors = [str(a.error) for a in load.fetched if (a.key_id, a.slave) == name]
                    when = f"{asked.time:.3f}, answered {asked.done_at:.3f}"
                    found.append(f"{name[1]} never got {key_id} of {when}: {errors}")
    return found


def _given_by_a_lost_past(site: Site, times: list[float]) -> bool:
    """Whether one key was fetched once before a rollback and once after it, before the node had to know of that."""
    back = site.rolled_back_at
    known_at = min((burn for burn in site.burns if burn > back), default=float("inf"))
    return len(times) == 2 and times[0] <= back < times[1] < known_at


def no_key_leaves(scenery: Scenery, load: Load) -> list[str]:
    """No delivered key of 128 bits and more stands in a message to a node or controller, an alarm, an audit line or a log."""
    record = scenery.transport.record
    raw = b"|".join(
        item.ciphertext.reveal()
        for message in record
        for item in message.items
        if isinstance(item, Ciphertext | Container)
    )
    told = [words for site in scenery.sites.values() for words in getattr(site, "told", ())]
    text = b"|".join([*(message.body for message in record), *told])
    # No form has a quote in it: what stands between two of them is searched once, however often it was sent, as headers are.
    text = b'"'.join(set(text.split(b'"')))
    lowered = text.lower()
    # What is written down may be bytes, or words with the repr of bytes in them, whose repr doubles the backslashes.
    written = repr([scenery.logs, *([site.alarms, site.disk.audit] for site in scenery.sites.values())])
    written = written.replace("\\\\", "\\").encode()
    found = []
    for asked in load.asked:
        for key_id, key in asked.keys.items():
            if len(key) < 16:
                continue
            forms = [base64.b64encode(bytes(pad) + key[:18])[4 if pad else 0 : 20].rstrip(b"=") for pad in (0, 1, 2)]
            said = key in raw or key.hex().encode() in lowered or any(form in text for form in forms)
            if said or any(form in written for form in (*forms, *forms_of(key))):
                found.append(f"{key_id} stands in a message or a log")
    return found


def credit_is_kept(scenery: Scenery) -> list[str]:
    """No range is announced beyond the credit that the next node has granted: a path that is not whole costs nothing."""
    granted: dict[tuple[str, str], int] = defaultdict(int)  # (path version, to whom) → the highest limit ever sent
    known: set[tuple[str, str, int]] = set()
    found = []
    for message in scenery.transport.record:
        for item in message.items:
            if isinstance(item, Credit):
                place = item.key, message.receiver
                granted[place] = max(granted[place], item.limit)
            elif isinstance(item, Announcement) and (item.key, message.sender, item.sequence) not in known:
                known.add((item.key, message.sender, item.sequence))
                top = item.start + item.length
                if top > granted[item.key, message.sender]:
                    most = granted[item.key, message.sender]
                    found.append(f"{message.sender}: {item.key}#{item.sequence} up to {top}, credit {most}")
    return found


def half_paths_spend_nothing(scenery: Scenery) -> list[str]:
    """Of a path version that one of its nodes never heard of, no range is ever announced."""
    halves = {entry.key for entry in scenery.halves}
    spent = {
        (message.sender, item.key)
        for message in scenery.transport.record
        for item in message.items
        if isinstance(item, Announcement) and item.key in halves
    }
    return [f"{sender} took pad for {key}, which is not whole" for sender, key in sorted(spent)]


def pad_is_accounted_for(scenery: Scenery) -> list[str]:
    """On each disk: every byte that segments brought was used, or burned for a cause that is named, or is still there."""
    found = []
    for name, site in scenery.sites.items():
        kept = [records.decode(kind, body, secret and secret.reveal()) for kind, _, body, secret in site.disk.load()]
        account = next((record for record in kept if isinstance(record, Burned)), Burned())
        there = sum(held(record, name) for record in kept)
        used, burned = sum(account.uses.values()), sum(account.causes.values())
        if account.collected != used + burned + there or min(account.causes.values(), default=1) <= 0:
            gap = account.collected - used - burned - there
            found.append(f"{name}: {gap} bytes of pad unaccounted for: {account.uses}, {account.causes}, {there} there")
    return found


def held(record: Record, node: str) -> int:
    """Bytes of pad that a record still holds for use."""
    match record:
        case Segment(state=SegmentState.USABLE | SegmentState.SPENT):
            return record.length - (record.mark if record.owner == node else record.accepted.size)
        case Route():
            return sum(record.open.values())
        case Relayed(state=RelayedState.ANNOUNCING):
            return 2 * record.length
        case Part(state=PartState.OPEN):
            return record.length if RANGE in record.digests else 0
        case Block():
            return record.length - record.used.size
        case Sent(withdrawing=False):
            return sum(count for pieces in record.paths.values() for _, _, count in pieces)
    return 0


def no_path_is_stuck(tries: Mapping[str, list[Asked]], explained: Callable[[Asked], bool]) -> list[str]:
    """Once the faults are over, every path serves one key at least one of the times that it is asked.

    Args:
        tries: path version → the requests.
        explained: whether a fault explains that a request failed.
    """
    return [
        f"{key} is stuck: none of {len(asked)} requests was served since {asked[0].time:.3f}: {asked[-1].error}"
        for key, asked in tries.items()
        if not any(one.keys or explained(one) for one in asked)
    ]


def half_is_served(asked: Iterable[Asked], explained: Callable[[Asked], bool]) -> list[str]:
    """At least half of the requests that need another node are served, those apart whose failure a fault explains.

    Args:
        asked: the requests.
        explained: whether a fault explains that a request failed.
    """
    relayed = [one for one in asked if one.home != one.far]
    served = sum(1 for one in relayed if one.keys)
    failed = [one for one in relayed if not one.keys and not explained(one)]
    if len(failed) > served:
        errors = {str(one.error) for one in failed}
        return [f"{served} requests were served, {len(failed)} failed and no fault explains it: {errors}"]
    return []
