"""The northbound interface does what its document says, for those whom it is for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import openapi_spec_validator
import pytest

from quiver.domain.sdn.demands import Demand, Origin
from quiver.identity.lab import Lab
from quiver.net import tls
from tests.controller.ground import PATIENCE
from tests.controller.north_ground import DOCUMENT, North, issued, north
from tests.controller.paper_network import PaperNetwork

SQUARE = ("a-b", "b-d", "a-c", "c-d")
A_TO_D = Demand(name="a-d", source="a", destination="d", origin=Origin.FILE)
WANTED = {"name": "v", "source": "a", "destination": "d", "depth": 8192}
Main = Callable[[North], Awaitable[None]]


def scene(lab: Lab, state: Path, main: Main, *demands: Demand, **options: bool) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE), north(lab, state, PaperNetwork(*SQUARE), *demands, **options) as found:
            await main(found)

    asyncio.run(run())


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_every_resource_reads_as_the_document_says(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        await found.engine.until(lambda: found.engine.up("a-d"))
        auditor = await found.caller("auditor", "otto")
        operator = await found.caller()
        assert (await operator.call("POST", "/drains", {"what": "link", "name": "c-d"})).status == 201
        for template, item in DOCUMENT["paths"].items():
            names = {"node": "a", "link": "a-b", "virtual_link": "a-d", "path": "1", "name": "a-d"}
            target = template.format(**names, what="link", drained="c-d")
            if "get" in item and target != "/events":
                await auditor.get(target)
        network = await auditor.get("/network")
        assert (network["phase"], network["nodes"], network["links"], network["served"]) == ("leading", 4, 4, 1)
        assert (await auditor.get("/demands"))["items"][0]["up"] == 1
        assert {row["id"] for row in (await auditor.get("/links"))["items"]} == set(SQUARE)

    scene(lab, tmp_path, main, A_TO_D)


def test_a_demand_of_an_operator_is_served_changed_and_given_up(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        operator = await found.caller()
        made = await operator.call("POST", "/demands", WANTED)
        assert made.status == 201
        assert made.headers["Location"] == "/api/v1/demands/v"
        await found.engine.until(lambda: found.engine.up("v"))
        read = await operator.call("GET", "/demands/v")
        assert read.headers["ETag"] == made.headers["ETag"]
        again = await operator.call("POST", "/demands", WANTED)
        assert (again.status, again.json["detail"]) == (409, "demand v is there already; PUT changes it")
        changed = await operator.call("PUT", "/demands/v", {**WANTED, "depth": 4096}, If_Match=made.headers["ETag"])
        assert changed.status == 200
        late = await operator.call("PUT", "/demands/v", {**WANTED, "depth": 0}, If_Match=made.headers["ETag"])
        assert late.status == 412
        moved = await operator.call("PUT", "/demands/v", {**WANTED, "destination": "c"})
        assert moved.status == 409
        assert (await operator.call("DELETE", "/demands/v", If_Match=made.headers["ETag"])).status == 412
        assert (await operator.call("DELETE", "/demands/v", If_Match=changed.headers["ETag"])).status == 204
        await found.engine.until(lambda: not found.network.held())
        assert (await operator.call("GET", "/demands/v")).status == 404

    scene(lab, tmp_path, main)


def test_a_put_makes_what_is_not_there_and_only_then_where_that_is_asked(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        operator = await found.caller()
        body = {"source": "a", "destination": "d"}
        assert (await operator.call("PUT", "/demands/w", body, If_Match="*")).status == 412
        assert (await operator.call("PUT", "/demands/w", body, If_None_Match="*")).status == 201
        assert (await operator.call("PUT", "/demands/w", body, If_None_Match="*")).status == 412
        assert (await operator.call("PUT", "/demands/w", body)).status == 200

    scene(lab, tmp_path, main)


def test_what_the_file_says_no_operator_changes(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        operator = await found.caller()
        for verb, target, body in (
            ("PUT", "/demands/a-d", {"source": "a", "destination": "d", "rate": 5}),
            ("DELETE", "/demands/a-d", None),
            ("PUT", "/agents/a", {"tls": "elsewhere.example:6513"}),
            ("DELETE", "/agents/a", None),
        ):
            answer = await operator.call(verb, target, body)
            assert answer.status == 409
            assert "configuration file" in answer.json["detail"]

    scene(lab, tmp_path, main, A_TO_D)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**WANTED, "rat": 5}, "unknown field `rat`"),
        ({**WANTED, "rate": "5"}, "Expected `int`, got `str` - at `$.rate`"),
        ({"name": "v", "source": "a"}, "missing required field `destination`"),
        ({**WANTED, "priority": 8}, "priority must be 0 to 7"),
        ({**WANTED, "destination": "a"}, "two different nodes"),
        ({**WANTED, "name": "no/slash"}, "name must be"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "at most 65536 bytes"),
        (b"[" * 60_000, "no JSON"),
    ],
)
def test_a_wrong_demand_is_refused_with_words_that_help(lab: Lab, tmp_path: Path, body: object, said: str) -> None:
    async def main(found: North) -> None:
        operator = await found.caller()
        answer = await operator.call("POST", "/demands", body)
        assert answer.status == (413 if "bytes" in said else 400)
        assert said in answer.json["detail"]
        assert not (await operator.get("/demands"))["items"]

    scene(lab, tmp_path, main)


@pytest.mark.parametrize(
    ("verb", "target", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/nodes/x", 404),
        ("GET", "/nodes/%ff", 400),
        ("GET", "/nodes?colour=red", 400),
        ("GET", "/nodes?limit=0", 400),
        ("GET", "/nodes?limit=1&limit=2", 400),
        ("GET", "/history?after=1&before=2", 400),
        ("GET", "/history?after=-1", 400),
        ("GET", "/history?limit=1001", 400),
        ("GET", "/drains/city/x", 404),
        ("DELETE", "/drains/city/x", 404),
        ("DELETE", "/drains/node/a", 404),
        ("DELETE", "/demands/x", 404),
        ("DELETE", "/agents/x", 404),
        ("POST", "/nodes", 405),
        ("PATCH", "/demands/x", 405),
        ("DELETE", "/network", 405),
    ],
)
def test_a_wrong_request_is_refused(lab: Lab, tmp_path: Path, verb: str, target: str, status: int) -> None:
    async def main(found: North) -> None:
        operator = await found.caller()
        answer = await operator.call(verb, target)
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == status

    scene(lab, tmp_path, main)


def test_an_auditor_reads_everything_and_writes_nothing(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        auditor = await found.caller("auditor", "otto")
        for verb, target, body in (
            ("POST", "/demands", WANTED),
            ("PUT", "/demands/v", {"source": "a", "destination": "d"}),
            ("DELETE", "/demands/v", None),
            ("POST", "/agents", {"id": "e", "tls": "e.example:6513"}),
            ("PUT", "/agents/e", {"tls": "e.example:6513"}),
            ("DELETE", "/agents/e", None),
            ("POST", "/drains", {"what": "node", "name": "b"}),
            ("DELETE", "/drains/node/b", None),
        ):
            assert (await auditor.call(verb, target, body)).status == 403, target
        assert not any(one["name"] == "ordered" for one in (await auditor.get("/history"))["items"])

    scene(lab, tmp_path, main)


@pytest.mark.parametrize("profile", ["controller", "node", "operator-classical"])
def test_nobody_else_gets_past_the_handshake(lab: Lab, tmp_path: Path, profile: str) -> None:
    async def main(found: North) -> None:
        caller = await found.caller(profile, "somebody")
        with pytest.raises(aiohttp.ClientError):
            await caller.call("GET", "/network")

    scene(lab, tmp_path, main)


def test_an_operator_of_another_authority_is_refused(lab: Lab, stranger: Path, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        foreign = Lab(stranger / "again")
        context = tls.northbound_client(issued(foreign, "operator", "anna"), lab.management_trust)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"{found.url}/api/v1/network", ssl=context)

    scene(lab, tmp_path, main)


def test_classical_operators_are_served_where_that_is_allowed(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        for profile in ("operator-classical", "operator"):
            caller = await found.caller(profile, "anna")
            assert (await caller.get("/network"))["controller"] == "controller-1"

    scene(lab, tmp_path, main, classical=True)


def test_a_drain_moves_what_passes_and_an_undrain_lets_it_pass_again(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        engine = found.engine
        await engine.until(lambda: engine.up("a-d"))
        operator = await found.caller()
        relay = engine.route("a-d")[1]
        assert (await operator.call("POST", "/drains", {"what": "node", "name": "x"})).status == 404
        made = await operator.call("POST", "/drains", {"what": "node", "name": relay})
        assert made.status == 201
        await engine.until(lambda: engine.up("a-d") and engine.route("a-d")[1] != relay)
        drained = await operator.get(f"/drains/node/{relay}")
        assert drained == {"what": "node", "name": relay, "paths": []}
        assert (await operator.call("POST", "/drains", {"what": "node", "name": relay})).status == 200
        assert (await operator.call("DELETE", f"/drains/node/{relay}")).status == 204
        assert (await operator.get("/drains"))["items"] == []
        orders = [one["about"] for one in (await operator.get("/history"))["items"] if one["name"] == "ordered"]
        assert {"by": "operator anna", "what": "drain", "node": relay} in orders

    scene(lab, tmp_path, main, A_TO_D)


def test_a_node_joins_and_leaves_by_an_operator_s_hand(lab: Lab, tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        three = network.tables()[:-1]
        async with asyncio.timeout(PATIENCE), north(lab, tmp_path, network, agents=three) as found:
            operator = await found.caller()
            wrong = await operator.call("POST", "/agents", {"id": "d", "ssh": "d.example:830", "host_keys": ["x"]})
            assert (wrong.status, "host_keys[0]" in wrong.json["detail"]) == (400, True)
            body = {"id": "d", "tls": "d.example:6513", "peer": "d.example:8443"}
            made = await operator.call("POST", "/agents", body)
            assert made.status == 201
            assert (await operator.call("POST", "/demands", WANTED)).status == 201
            await found.engine.until(lambda: found.engine.up("v"))
            read = await operator.call("GET", "/agents/d")
            assert read.json["session"]
            assert read.headers["ETag"] == made.headers["ETag"]
            assert (await operator.call("POST", "/agents", body)).status == 409
            refused = await operator.call("DELETE", "/agents/d")
            assert (refused.status, "demands end at d: v" in refused.json["detail"]) == (409, True)
            assert (await operator.call("DELETE", "/demands/v")).status == 204
            assert (await operator.call("DELETE", "/agents/d")).status == 204
            assert (await operator.call("GET", "/agents/d")).status == 404
            await found.engine.until(lambda: "d" not in found.engine.fleet.links)
            assert network.held() == {}
            assert (await operator.call("GET", "/nodes/d")).status == 404

    asyncio.run(main())


def test_collections_are_read_page_by_page(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        operator = await found.caller()
        first = await operator.get("/nodes?limit=3")
        assert [row["node"] for row in first["items"]] == ["a", "b", "c"]
        assert first["next"] == "c"
        assert [row["node"] for row in (await operator.get("/nodes?limit=3&after=c"))["items"]] == ["d"]

    scene(lab, tmp_path, main)


def test_the_history_is_read_forwards_and_backwards(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        await found.engine.until(lambda: found.engine.up("a-d"))
        operator = await found.caller()
        newest = (await operator.get("/network"))["newest"]
        numbers = [one["number"] for one in (await operator.get("/history"))["items"]]
        assert numbers == list(range(1, newest + 1))
        assert [one["number"] for one in (await operator.get("/history?after=2&limit=2"))["items"]] == [3, 4]
        assert [one["number"] for one in (await operator.get("/history?before=4&limit=2"))["items"]] == [2, 3]

    scene(lab, tmp_path, main, A_TO_D)


def test_alarms_stand_as_long_as_their_cause(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        await found.engine.until(lambda: found.engine.up("a-d"))
        operator = await found.caller()
        assert (await operator.get("/alarms"))["items"] == []
        found.network.cut("a-b")
        await found.engine.until(lambda: found.engine.live().links and _down(found))
        (alarm,) = [one for one in (await operator.get("/alarms"))["items"] if one["name"] == "link-down"]
        assert (alarm["about"], alarm["id"], alarm["severity"]) == ("link", "a-b", "major")
        found.network.heal("a-b")
        await found.engine.until(lambda: not _down(found))
        assert not [one for one in (await operator.get("/alarms"))["items"] if one["name"] == "link-down"]

    scene(lab, tmp_path, main, A_TO_D)


def _down(found: North) -> bool:
    return any(link.state == "down" for link in found.engine.live().links)
