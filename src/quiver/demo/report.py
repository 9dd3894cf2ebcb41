"""What the demo tells scripts: one JSON object for the main job, one for a network that serves (design section 10)."""

import math
from typing import Any

import msgspec

from quiver.demo.faults import FaultResult, Move
from quiver.demo.join import JoinResult
from quiver.demo.load import Tally, percentile
from quiver.demo.network import DemoNetwork
from quiver.demo.places import OPERATOR
from quiver.demo.plan import PairPlan
from quiver.demo.results import CUT_GOAL, DEATH_GOAL, JobResult

__all__ = ["job_object", "keys_per_second", "latency", "serve_object"]

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


def job_object(result: JobResult) -> Json:
    """All fields of the contract; those of parts that do not exist yet are null."""
    plan = result.plan
    found: Json = {
        "nodes": len(plan.nodes),
        "qkd_links": len(plan.links),
        "vendors": list(plan.vendors),
        "hops": len(result.entries[plan.main.virtual_link].nodes) - 1,
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
        "reroute": _fault_object("cut_link", result.cut, result, CUT_GOAL),
        "node_loss": _fault_object("node", result.killed, result, DEATH_GOAL),
        "reroute_quantum_only": _fault_object("dark_link", result.darkened, result),
        "join": _join_object(result.joined),
        "size": result.options.size,
        "seed": plan.seed,
        "seconds": round(result.seconds, 2),
        "failed_requests": result.failed_requests,
        "flawless": result.flawless,
        "pairs": [_pair_object(result, pair) for pair in plan.pairs],
        "pad_level_bytes": result.calm.level,
        "pad_burned_bytes": result.last.burned,
    }
    if result.trace is not None:
        found["trace"] = msgspec.to_builtins(result.trace)
    return found


def _fault_object(name: str, fault: FaultResult, result: JobResult, goal: float | None = None) -> Json:
    """One fault: the main pair's figures, and those of the pair without a buffer beside them; the goal for either's `seconds`."""
    plan, stored = result.plan, {"stored_bytes": fault.stored} if fault.stored else {}
    aim = {"goal_seconds": goal} if goal is not None else {}
    main, unbuffered = plan.main.name, plan.unbuffered.name
    return {
        name: fault.what,
        **_move_object(fault.moves.get(main), fault.tallies[main]),
        **aim,
        **stored,
        "unbuffered": _move_object(fault.moves.get(unbuffered), fault.tallies[unbuffered]),
    }


def _move_object(move: Move | None, tally: Tally) -> Json:
    """`seconds` until the first block that avoids what broke; what became of requests in the meantime, and a moment more."""
    known = move if move is not None else Move(before=())
    return {
        "seconds": _rounded(known.ready, 3),
        "noticed_seconds": _rounded(known.noticed, 3),
        "credit_seconds": _rounded(known.credit, 3),
        "from": list(known.before),
        "to": list(known.after) if known.after is not None else None,
        "failed_requests": tally.failed_requests,
        "longest_wait_ms": latency(tally, 1.0),
        "keys": _counts(tally),
    }


def _join_object(joined: JoinResult) -> Json:
    return {
        "node": joined.node,
        "links": list(joined.links),
        "seconds": round(joined.first_key, 3),
        "listening_seconds": round(joined.listening, 3),
        "entered_seconds": round(joined.entered, 3),
        "linked_seconds": round(joined.linked, 3),
        "first_request_seconds": round(joined.first_key - joined.requested, 3),
        "route": list(joined.route),
        "failed_requests": joined.tally.failed_requests,
        "keys": _counts(joined.tally),
    }


def _pair_object(result: JobResult, pair: PairPlan) -> Json:
    there, back = result.entries[pair.virtual_link], result.entries[pair.virtual_link_back]
    return {
        "name": pair.name,
        "saes": [pair.master, pair.slave],
        "route": list(there.nodes),
        "hops": len(there.nodes) - 1,
        "vendors": result.plan.vendors_along(there.nodes),
        "depth_bytes": [there.depth, back.depth],
        "ready_bytes": [result.calm.ready.get(there.key, 0), result.calm.ready.get(back.key, 0)],
        "keys": _counts(result.total(pair)),
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
                "netconf": {
                    "host": ready["netconf_ssh_host"],
                    "port": ready["netconf_ssh_port"],
                    "username": OPERATOR,
                    "private_key": str(files.identities.operator_ssh),
                    "host_key": ready["ssh_host_key"],
                    "tls_port": ready["netconf_tls_port"],
                },
            }
            for node, ready in network.agents.items()
        ],
        "saes": [
            {
                "id": sae,
                "agent": node,
                "kme_url": network.kme_url(sae),
                "certificate": str(own.classical.certificate),
                "private_key": str(own.classical.private_key),
                "ca": str(files.identities.saes_bundle),
                "pq_certificate": str(own.post_quantum.certificate),
                "pq_private_key": str(own.post_quantum.private_key),
                "partner_certificate": str(own.partner.certificate),
                "partner_private_key": str(own.partner.private_key),
            }
            for sae, node in network.plan.homes.items()
            for own in (files.identities.saes[sae],)
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
        "controller": {
            **msgspec.to_builtins(files.operator),
            "pid": network.controller["pid"],
            "config": str(files.controller),
            "dashboard_url": None,
        },
        "state_directory": str(files.root),
    }
