"""What the demo tells people: a summary of the main job, one key's way, and how to use a network that serves."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from quiver.demo.faults import FaultResult, Move
from quiver.demo.join import JoinResult
from quiver.demo.network import DemoNetwork
from quiver.demo.plan import COVERED, LinkPlan, PairPlan, Plan
from quiver.demo.report import keys_per_second, latency, serve_object
from quiver.demo.results import JobResult
from quiver.demo.trace import Step

__all__ = ["print_job", "print_network", "print_trace"]


def print_job(result: JobResult, console: Console) -> None:
    """What the network was, what went over which path, what it took, and what became of it when things broke."""
    main, plan = result.plan.main, result.plan
    for title, table in (
        (_title(plan), _network_table(plan.links)),
        ("Keys, both directions, over the paths that the controller made", _pairs_table(result)),
        (f"The main pair, {main.source} to {main.destination}", _facts_table(result)),
        ("What broke, and when keys had another way", _faults_table(result)),
        (f"{result.joined.node} joins", _join_table(result.joined, plan)),
    ):
        console.print(f"[bold]{title}[/bold]", table, "", sep="\n")
    reasons = [f"pair {name}: {reason}" for name, tally in result.tallies() for reason in tally.reasons]
    for line in dict.fromkeys(reasons):
        console.print(f"Something failed, {line}", style="yellow", markup=False)
    _print_verdict(result, console)


def _print_verdict(result: JobResult, console: Console) -> None:
    """Green where everything is as the demo promises; times above the goal are told, and decide nothing."""
    for fault, pair, goal in result.late():
        seconds = f"{fault.moves[pair].ready:.2f} s, the goal is {goal:.0f} s"
        console.print(f"Later than it should: {fault.what}, pair {pair}: another path after {seconds}.", style="yellow")
    total = sum(tally.delivered for _, tally in result.tallies())
    if result.flawless:
        console.print(f"All {total} keys are at both their SAEs, equal, each once; no request failed.", style="green")
    if not result.keys_flawless:
        console.print("Not all keys that were asked for are at both their SAEs, equal, each once.", style="red")
    if result.failed_requests:
        console.print(f"{result.failed_requests} requests for keys failed, and were made again.", style="red")
    if not result.paths_moved:
        console.print("A path that had to move did not.", style="red")


def _title(plan: Plan) -> str:
    return f"{len(plan.nodes)} trusted nodes, {len(plan.links)} QKD links (seed {plan.seed})"


def _network_table(links: Iterable[LinkPlan]) -> Table:
    table = _table("QKD link", "vendor", "km")
    for link in links:
        table.add_row(" ── ".join(link.ends), link.vendor, f"{link.length_km:.1f}")
    return table


def _pairs_table(result: JobResult) -> Table:
    table = _table("SAEs", "path and vendors", "hops", "keys", "differ", "twice", "buffer")
    for pair in result.plan.pairs:
        total, there = result.total(pair), result.entries[pair.virtual_link]
        table.add_row(
            f"{pair.master}, {pair.slave}",
            _way(result.plan, there.nodes),
            str(len(there.nodes) - 1),
            f"{total.delivered} of {total.requested}",
            str(total.mismatched),
            str(total.duplicated),
            f"{_kib(result.calm.ready.get(there.key, 0))} of {_kib(there.depth)} KiB" if there.depth else "none",
        )
    return table


def _way(plan: Plan, route: tuple[str, ...]) -> str:
    """The nodes of a path, with the vendor of each link between them."""
    steps = (f" ─{vendor}→ {node}" for vendor, node in zip(plan.vendors_along(route), route[1:], strict=True))
    return route[0] + "".join(steps)


def _facts_table(result: JobResult) -> Table:
    plan, pad, tls = result.plan, result.pad, result.tls
    depth = plan.demand(plan.main.virtual_link).depth
    burned = ", ".join(f"{count} bytes ({cause})" for cause, count in result.calm.burned.items())
    rows = {
        "keys": f"{result.bulk.delivered} of {result.options.size} bits, {keys_per_second(result.bulk) or 0:.0f} each second",
        "up to 50 keys": f"{_ms(latency(result.bulk, 0.5))} median, {_ms(latency(result.bulk, 0.99))} p99",
        "one key, buffer filled": f"{_ms(latency(result.single, 0.5))} median: one round trip between the end nodes",
        "one key, no buffer": f"{_ms(latency(result.unbuffered, 0.5))} median: primed over as many hops when it is asked for",
        "link pad per key bit and hop": (
            f"{_figure(pad.bulk)} in bulk, {_figure(pad.single)} single, {_figure(pad.single_unbuffered)} without a buffer"
        ),
        "pad burned": burned or "none",
        "buffer": f"{_kib(depth)} KiB, which covers {COVERED:.0f} s of the load and more",
        "between nodes": f"{tls.version}, {tls.group}, {tls.signature} (as negotiated)",
        "time": f"{result.seconds:.1f} s from the start, with all that follows",
    }
    return _facts(rows)


def _faults_table(result: JobResult) -> Table:
    """Each fault with a line for each pair whose path passed it."""
    table = _table("what", "SAEs", "pad on another path", "new path", "longest wait", "failed")
    for name, fault in (
        (f"{result.cut.what} cut", result.cut),
        (f"{result.killed.what} killed", result.killed),
        (f"{result.darkened.what} dark", result.darkened),
    ):
        for pair in (result.plan.main, result.plan.unbuffered):
            table.add_row(name, *_fault_row(fault, pair))
            name = ""
    return table


def _fault_row(fault: FaultResult, pair: PairPlan) -> tuple[str, ...]:
    tally, move = fault.tallies[pair.name], fault.moves.get(pair.name)
    kind = "no buffer" if pair.name == "unbuffered" else "buffer"
    return (
        f"{pair.master}, {kind}",
        _moved(move, fault.stored),
        "–" if move is None or move.after is None else " ".join(move.after),
        _ms(latency(tally, 1.0)),
        f"{tally.failed_requests} of {len(tally.latencies) + tally.failed_requests}",
    )


def _moved(move: Move | None, stored: int) -> str:
    if move is None:
        return "stays: pad left its way" if stored else "stays: not there"
    if move.ready is None:
        return "none"
    used = f", {_kib(stored)} KiB in stock" if stored else ""
    return f"after {move.ready:.2f} s{used}"


def _join_table(joined: JoinResult, plan: Plan) -> Table:
    links = ", ".join(f"{' ── '.join(link.ends)} ({link.vendor})" for link in plan.joining.links)
    pair, tally = plan.joining.pair, joined.tally
    rows = {
        "QKD links": links,
        "its agent runs": f"after {joined.listening:.1f} s; nothing else was started again",
        "operator": f"after {joined.entered:.1f} s: {pair.master} and its partner {pair.slave} stand at both ends",
        "first key": (
            f"after {joined.first_key:.1f} s, {joined.first_key - joined.requested:.2f} s after the request that made "
            "the controller lay a path"
        ),
        "path": _way(plan, joined.route),
        "keys": f"{tally.delivered} of {tally.requested}, {tally.failed_requests} requests failed",
    }
    return _facts(rows)


def _facts(rows: dict[str, str]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for row in rows.items():
        table.add_row(*row)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="italic")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _kib(count: int) -> str:
    return f"{count / 1024:.0f}"


def _ms(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds:.1f} ms"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def print_trace(steps: Iterable[Step], console: Console) -> None:
    """One key's way, a line for each message."""
    console.print("\nOne key's way, message by message (digests only)", style="bold")
    for number, step in enumerate(steps, start=1):
        console.print(f"{number:3}. {step.milliseconds:8.1f} ms  {step.text}", markup=False, soft_wrap=True)


def print_network(network: DemoNetwork, console: Console) -> None:
    """What runs, and how to get a key from it."""
    found = serve_object(network)
    table = _table("SAE", "node", "KME")
    for sae in found["saes"]:
        table.add_row(sae["id"], sae["agent"], sae["kme_url"])
    console.print(f"[bold]{_title(network.plan)}[/bold]", _network_table(network.plan.links), "", table, sep="\n")
    master, slave = found["saes"][:2]
    console.print(
        f"\nA key for {master['id']} and {slave['id']}:\n\n"
        f"  curl --cert {master['certificate']} --key {master['private_key']} \\\n"
        f"    --cacert {master['ca']} \\\n"
        f"    '{master['kme_url']}/api/v1/keys/{slave['id']}/enc_keys?size=256'\n\n"
        f"What the controller sees:    quiver network show, links, paths, demands, alarms\n"
        f"Take a node out of use:      quiver network drain node linz\n"
        f"Cut a link, and repair it:   quiver device fault linz-wien cut, quiver device fault linz-wien repair\n\n"
        f"State: {network.files.root}, for --state where more than one demo runs. Ctrl-C ends everything.",
        markup=False,
        soft_wrap=True,
    )
