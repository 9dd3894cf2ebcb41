"""What the demo tells scripts: one JSON object for the main job, one for a network that serves (design section 10)."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from quiver.demo.job import JobResult
from quiver.demo.load import Tally, percentile
from quiver.demo.network import DemoNetwork
from quiver.demo.plan import PairPlan, Plan

__all__ = ["job_object", "keys_per_second", "latency", "serve_object", "tallies", "total_of", "vendors_of"]

Json = dict[str, Any]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or math.isnan(value) else round(value, digits)


def latency(tally: Tally, share: float) -> float | None:
    """Milliseconds; None where no request was answered."""
    return round(percentile(tally.latencies, share) * 1000, 2) if tally.latencies else None


def _counts(tally: Tally) -> Json:
    return {
        "requested": tally.requested,
        "delivered": tally.delivered,
        "mismatched": tally.mismatched,
        "duplicated": tally.duplicated,
    }


def keys_per_second(tally: Tally) -> float | None:
    """Keys at both ends per second; None where nothing was asked for."""
    return round(tally.delivered / tally.seconds, 1) if tally.seconds else None


def vendors_of(plan: Plan, pair: PairPlan) -> list[str]:
    """The vendor of each hop."""
    return [plan.link_between(one, other).vendor for one, other in zip(pair.route, pair.route[1:], strict=False)]


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
            "p50": latency(result.bulk, 0.50),
            "p99": latency(result.bulk, 0.99),
            "single_buffered_p50": latency(result.single, 0.50),
            "single_unbuffered_p50": latency(result.unbuffered, 0.50),
        },
        "keys_per_second": keys_per_second(result.bulk),
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
        "failed_requests": sum(tally.failed_requests for _, tally in tallies(result)),
        "pairs": [_pair_object(result, pair) for pair in plan.pairs],
        "pad_level_bytes": result.last.level,
        "pad_burned_bytes": result.last.burned,
    }
    if result.trace is not None:
        found["trace"] = msgspec.to_builtins(result.trace)
    return found


def tallies(result: JobResult) -> Iterator[tuple[str, Tally]]:
    """Each pair's name with what it got; a pair may come several times."""
    yield result.plan.main.name, result.bulk
    yield result.plan.main.name, result.single
    yield result.plan.unbuffered.name, result.unbuffered
    yield from result.beside.items()


def total_of(result: JobResult, pair: PairPlan) -> Tally:
    """All that a pair got."""
    total = Tally()
    for name, tally in tallies(result):
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
        "vendors": vendors_of(result.plan, pair),
        "depth_bytes": [there.depth, back.depth],
        "ready_bytes": [result.last.ready.get(there.key, 0), result.last.ready.get(back.key, 0)],
        "keys": _counts(total_of(result, pair)),
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
