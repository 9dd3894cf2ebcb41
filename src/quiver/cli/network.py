"""`quiver network`: what operators and auditors see of the network through its controller, and what operators order of it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quiver.cli import network_tables as tables
from quiver.cli.network_session import Session, with_session
from quiver.client.operator import OperatorClient
from quiver.domain.errors import ConfigurationError
from quiver.domain.sdn.records import What

__all__ = ["app"]

app = typer.Typer(
    name="network",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="The network as its controller sees it: look at it, and order changes.",
)
demand_app = typer.Typer(no_args_is_help=True, help="Virtual links that the network is to serve.")
agent_app = typer.Typer(no_args_is_help=True, help="Agents that the controller manages.")
app.add_typer(demand_app, name="demand")
app.add_typer(agent_app, name="agent")

WhatArgument = Annotated[What, typer.Argument(help="What is meant.")]
NameArgument = Annotated[str, typer.Argument(help="Its id.")]


# --- looking ------------------------------------------------------------------------------------------------------


@app.command()
@with_session
def show(session: Session) -> None:
    """Show the network in a few figures, and its nodes."""

    async def talk(client: OperatorClient) -> dict[str, Any]:
        return {"network": await client.get("network"), "nodes": await client.all("nodes")}

    found = session.ask(talk)
    session.show(found, lambda: tables.show_network(found["network"], found["nodes"]))


@app.command()
@with_session
def links(session: Session) -> None:
    """Show QKD links: state, rate, error ratio and pad levels."""
    rows = session.ask(lambda client: client.all("links"))
    session.show({"links": rows}, lambda: tables.show_links(rows))


@app.command()
@with_session
def paths(session: Session) -> None:
    """Show the routes of virtual links, their credit, and where they move."""
    rows = session.ask(lambda client: client.all("paths"))
    session.show({"paths": rows}, lambda: tables.show_paths(rows))


@app.command()
@with_session
def demands(session: Session) -> None:
    """Show the virtual links that are asked for, and how many of their paths have credit."""
    rows = session.ask(lambda client: client.all("demands"))
    session.show({"demands": rows}, lambda: tables.show_demands(rows))


@app.command()
@with_session
def agents(session: Session) -> None:
    """Show where the controller finds agents, and how its sessions with them are."""
    rows = session.ask(lambda client: client.all("agents"))
    session.show({"agents": rows}, lambda: tables.show_agents(rows))


@app.command()
@with_session
def alarms(session: Session) -> None:
    """Show what is wrong now."""
    rows = session.ask(lambda client: client.all("alarms"))
    session.show({"alarms": rows}, lambda: tables.show_alarms(rows))


@app.command()
@with_session
def history(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many entries, the newest ones.")] = 50,
    after: Annotated[int | None, typer.Option(min=0, help="Instead, those that follow this number.")] = None,
) -> None:
    """Show what has happened: moves of paths with their times, faults, orders of operators."""
    query = {"limit": limit} if after is None else {"limit": limit, "after": after}
    rows = session.ask(lambda client: client.get("history", **query))["items"]
    session.show({"history": rows}, lambda: tables.show_history(rows))


# --- orders -------------------------------------------------------------------------------------------------------


@app.command()
@with_session
def drain(session: Session, what: WhatArgument, name: NameArgument) -> None:
    """Take a node or a link out of use: no path passes it any more, and what passes moves first."""
    made = session.ask(lambda client: client.post("drains", {"what": what.value, "name": name}))
    session.say(made, f"{what.value} {name} is drained; 'quiver network paths' shows what still passes it")


@app.command()
@with_session
def undrain(session: Session, what: WhatArgument, name: NameArgument) -> None:
    """Let paths pass a node or a link again."""
    session.ask(lambda client: client.delete("drains", what.value, name))
    session.say({"what": what.value, "name": name, "drained": False}, f"paths may pass {what.value} {name} again")


@demand_app.command("add")
@with_session
def demand_add(
    session: Session,
    name: Annotated[str, typer.Argument(help="Of the virtual link.")],
    source: Annotated[str, typer.Argument(help="Node whose SAEs ask for new keys.")],
    destination: Annotated[str, typer.Argument(help="Node whose SAEs fetch them.")],
    rate: Annotated[int, typer.Option(min=0, help="Bits per second of each hop; 0: no bound and no share.")] = 0,
    depth: Annotated[int, typer.Option(min=0, help="Bytes of pad to hold ready; 0: none.")] = 0,
    priority: Annotated[int, typer.Option(min=0, max=7, help="Class, 0 the highest.")] = 1,
    disjoint: Annotated[int, typer.Option("--paths", min=1, help="How many, sharing no node but their ends.")] = 1,
    exclude: Annotated[list[str] | None, typer.Option(help="Node that no path may pass; several times.")] = None,
    hops: Annotated[int, typer.Option(min=1, help="Most of one path.")] = 63,
) -> None:
    """Ask for a virtual link. Keys both ways need one in each direction."""
    body = {
        "name": name,
        "source": source,
        "destination": destination,
        "rate": rate,
        "depth": depth,
        "priority": priority,
        "paths": disjoint,
        "excluded": exclude or [],
        "hops": hops,
    }
    made = session.ask(lambda client: client.post("demands", body))
    session.say(made, f"demand {name} from {source} to {destination} is to be served")


@demand_app.command("remove")
@with_session
def demand_remove(session: Session, name: NameArgument) -> None:
    """Give a virtual link up; its paths go."""
    session.ask(lambda client: client.delete("demands", name))
    session.say({"name": name, "removed": True}, f"demand {name} is given up")


@agent_app.command("add")
@with_session
def agent_add(
    session: Session,
    node: Annotated[str, typer.Argument(help="Id of its node.")],
    over_tls: Annotated[str | None, typer.Option("--tls", help="HOST:PORT of its NETCONF server over TLS.")] = None,
    over_ssh: Annotated[str | None, typer.Option("--ssh", help="HOST:PORT of its NETCONF server over SSH.")] = None,
    host_key: Annotated[Path | None, typer.Option(help="File with its SSH server's public keys, a line each.")] = None,
    peer: Annotated[
        str | None, typer.Option(help="HOST:PORT of its peer plane, told to the nodes of its paths.")
    ] = None,
) -> None:
    """Make an agent known to the controller, which connects to it at once."""
    body = {"id": node, "tls": over_tls, "ssh": over_ssh, "host_keys": _keys(host_key), "peer": peer}
    made = session.ask(lambda client: client.post("agents", body))
    session.say(made, f"agent {node} is known to the controller")


def _keys(file: Path | None) -> list[str]:
    """Public keys of a file, without the name of a host that may stand after them.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigurationError(f"{file}: {reason}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@agent_app.command("remove")
@with_session
def agent_remove(session: Session, node: NameArgument) -> None:
    """Take a node out of the network: paths move off it, then it is cleared and forgotten. No demand may end at it."""
    session.ask(lambda client: client.delete("agents", node))
    session.say({"id": node, "removed": True}, f"agent {node} leaves the network; history says when it is gone")
