"""What the demo prints: one JSON object for scripts (design section 10), a summary for people."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from quiver.demo.job import JobResult
from quiver.demo.load import Tally, percentile
from quiver.demo.network import DemoNetwork
from quiver.demo.plan import COVERED, PairPlan, Plan
from quiver.demo.trace import Step

__all__ = ["job_object", "print_job", "print_network", "print_trace", "serve_object"]

Json = dict[str, Any]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or math.isnan(value) else round(value, digits)


def _latency(tally: Tally, share: float) -> float | None:
    """Milliseconds; None where no request was answered."""
    return round(percentile(tally.latencies, share) * 1000, 2) if tally.latencies else None


def _counts(tally: Tally) -> Json:
    return {
        "requested": tally.requested,
        "delivered": tally.delivered,
        "mismatched": tally.mismatched,
        "duplicated": tally.duplicated,
    }


def _per_second(tally: Tally) -> float | None:
    return round(tally.delivered / tally.seconds, 1) if tally.seconds else None


def _vendors(plan: Plan, pair: PairPlan) -> list[str]:
    """The vendor of each hop."""
    return [plan.link_between(one, other).vendor for one, other in zip(pair.route, pair.route[1:], strict=False)]


# --- JSON ---------------------------------------------------------------------------------------------------------


def job_object(result: JobResult) -> Json:
    """All fields of the contract; those of parts that do not exist yet are null."""
    plan = result.plan
    found: Json = {
        "nodes": len(plan.nodes),
        "qkd_links": len(plan.links),
        "vendors": list(plan.vendors),
        "hops": plan.main.hops,
        "keys": _counts(result.bulk),
        "latency_ms": {
            "p50": _latency(result.bulk, 0.50),
            "p99": _latency(result.bulk, 0.99),
            "single_buffered_p50": _latency(result.single, 0.50),
            "single_unbuffered_p50": _latency(result.unbuffered, 0.50),
        },
        "keys_per_second": _per_second(result.bulk),
        "tls": {"version": result.tls.version, "group": result.tls.group, "signature": result.tls.signature},
        "pad_bits_per_key_bit_per_hop": {
            "bulk": _rounded(result.pad.bulk, 4),
            "single": _rounded(result.pad.single, 4),
            "single_unbuffered": _rounded(result.pad.single_unbuffered, 4),
        },
        "reroute": None,
        "node_loss": None,
        "size": result.options.size,
        "seed": plan.seed,
        "seconds": round(result.seconds, 2),
        "failed_requests": sum(tally.failed_requests for _, tally in _tallies(result)),
        "pairs": [_pair_object(result, pair) for pair in plan.pairs],
        "pad_level_bytes": result.last.level,
        "pad_burned_bytes": result.last.burned,
    }
    if result.trace is not None:
        found["trace"] = msgspec.to_builtins(result.trace)
    return found


def _tallies(result: JobResult) -> Iterable[tuple[str, Tally]]:
    yield result.plan.main.name, result.bulk
    yield result.plan.main.name, result.single
    yield result.plan.unbuffered.name, result.unbuffered
    yield from result.beside.items()


def _total(result: JobResult, pair: PairPlan) -> Tally:
    total = Tally()
    for name, tally in _tallies(result):
        if name == pair.name:
            total.add(tally)
    return total


def _pair_object(result: JobResult, pair: PairPlan) -> Json:
    there, back = pair.entries
    return {
        "name": pair.name,
        "saes": [pair.master, pair.slave],
        "route": list(pair.route),
        "hops": pair.hops,
        "vendors": _vendors(result.plan, pair),
        "depth_bytes": [there.depth, back.depth],
        "ready_bytes": [result.last.ready.get(there.key, 0), result.last.ready.get(back.key, 0)],
        "keys": _counts(_total(result, pair)),
    }


def serve_object(network: DemoNetwork) -> Json:
    """Where everything is, for scripts and for people with curl."""
    files = network.files
    return {
        "agents": [
            {
                "id": node,
                "pid": ready["pid"],
                "config": str(files.agents[node]),
                "sae_url": ready["sae_url"],
                "metrics_url": ready["metrics_url"],
                "netconf": None,
            }
            for node, ready in network.agents.items()
        ],
        "saes": [
            {
                "id": sae,
                "agent": own.node,
                "kme_url": network.kme_url(sae),
                "certificate": str(own.classical.certificate),
                "private_key": str(own.classical.private_key),
                "ca": str(files.saes_bundle),
                "pq_certificate": str(own.post_quantum.certificate),
                "pq_private_key": str(own.post_quantum.private_key),
            }
            for sae, own in files.saes.items()
        ],
        "links": [
            {
                "id": link.id,
                "vendor": link.vendor,
                "ends": list(link.ends),
                "devices": [
                    {"url": end["url"], "pid": network.links[link.id]["pid"]} for end in network.links[link.id]["ends"]
                ],
            }
            for link in network.plan.links
        ],
        "controller": None,
        "state_directory": str(files.root),
    }


# --- for people ---------------------------------------------------------------------------------------------------


def print_job(result: JobResult, console: Console) -> None:
    """The summary."""
    console.print(Group(_network_table(result.plan), Text(), _pairs_table(result), Text(), _facts_table(result)))
    bad = [f"{name}: {reason}" for name, tally in _tallies(result) for reason in tally.reasons]
    for line in dict.fromkeys(bad):
        console.print(f"Requests failed and were made again, pair {line}", style="yellow", markup=False)
    total = sum(tally.delivered for _, tally in _tallies(result))
    if result.flawless:
        console.print(
            f"\nAll {total} keys are at both their SAEs, equal, each once. {result.seconds:.1f} s in all.",
            style="green",
        )
    else:
        console.print("\nNot all keys that were asked for came to both their SAEs, equal, each once.", style="red")


def _network_table(plan: Plan) -> Table:
    table = _table(
        f"{len(plan.nodes)} trusted nodes, {len(plan.links)} QKD links (seed {plan.seed})", "QKD link", "vendor", "km"
    )
    for link in plan.links:
        table.add_row(" ── ".join(link.ends), link.vendor, f"{link.length_km:.1f}")
    return table


def _pairs_table(result: JobResult) -> Table:
    table = _table("Keys, both directions", "SAEs", "path and vendors", "hops", "keys", "differ", "twice", "buffer now")
    for pair in result.plan.pairs:
        total, there = _total(result, pair), pair.entries[0]
        buffer = (
            f"{result.last.ready.get(there.key, 0) / 1024:.0f} of {there.depth / 1024:.0f} KiB"
            if there.depth
            else "none"
        )
        keys = f"{total.delivered} of {total.requested}"
        row = (_way(result.plan, pair), str(pair.hops), keys, str(total.mismatched), str(total.duplicated), buffer)
        table.add_row(f"{pair.master}, {pair.slave}", *row)
    return table


def _way(plan: Plan, pair: PairPlan) -> str:
    """The nodes of a pair's path, with the vendor of each link between them."""
    steps = (f" ─{vendor}→ {node}" for vendor, node in zip(_vendors(plan, pair), pair.route[1:], strict=True))
    return pair.route[0] + "".join(steps)


def _facts_table(result: JobResult) -> Table:
    plan, pad = result.plan, result.pad
    main = f"{plan.main.route[0]} → {plan.main.route[-1]}"
    table = Table(title=f"The main pair, {main}", title_justify="left", show_header=False, box=None, pad_edge=False)
    single, alone = _shown(_latency(result.single, 0.5)), _shown(_latency(result.unbuffered, 0.5))
    spent = f"{_figure(pad.bulk)} in bulk, {_figure(pad.single)} single, {_figure(pad.single_unbuffered)} single without a buffer"
    burned = ", ".join(f"{count} bytes ({cause})" for cause, count in result.last.burned.items())
    rows = [
        (
            "keys",
            f"{result.bulk.delivered} of {result.options.size} bits, {_per_second(result.bulk) or 0:.0f} each second",
        ),
        ("up to 50 keys", f"{_shown(_latency(result.bulk, 0.5))} median, {_shown(_latency(result.bulk, 0.99))} p99"),
        ("one key, buffer filled", f"{single} median: one round trip between the end nodes"),
        ("one key, no buffer", f"{alone} median: primed over as many hops when it is asked for"),
        ("link pad per key bit and hop", spent),
        ("pad burned", burned or "none"),
        ("buffer", f"{plan.main.depth // 1024} KiB, which covers {COVERED:.0f} s of the load and more"),
        ("between nodes", f"{result.tls.version}, {result.tls.group}, {result.tls.signature} (as negotiated)"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _shown(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds:.1f} ms"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def print_trace(steps: Iterable[Step], console: Console) -> None:
    """One key's way, a line for each message."""
    console.print("\nOne key's way, message by message (digests only)", style="bold")
    for number, step in enumerate(steps, start=1):
        console.print(f"{number:3}. {step.milliseconds:8.1f} ms  {step.text}", markup=False, soft_wrap=True)


def print_network(network: DemoNetwork, console: Console) -> None:
    """What runs and how to get a key from it."""
    found = serve_object(network)
    parts: list[RenderableType] = [_network_table(network.plan), Text()]
    table = _table("SAEs", "SAE", "node", "KME")
    for sae in found["saes"]:
        table.add_row(sae["id"], sae["agent"], sae["kme_url"])
    console.print(Group(*parts, table))
    master, slave = (
        next(one for one in found["saes"] if one["id"] == sae)
        for sae in (network.plan.main.master, network.plan.main.slave)
    )
    console.print(
        f"\nA key for {master['id']} and {slave['id']}:\n\n"
        f"  curl --cert {master['certificate']} --key {master['private_key']} \\\n"
        f"    --cacert {master['ca']} \\\n"
        f"    '{master['kme_url']}/api/v1/keys/{slave['id']}/enc_keys?size=256'\n\n"
        f"State: {network.files.root}. Ctrl-C ends everything.",
        markup=False,
        soft_wrap=True,
    )
