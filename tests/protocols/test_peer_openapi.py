"""`peer_openapi.json` says what nodes really send: no more, no less, and in every kind."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import openapi_spec_validator
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from quiver.domain.errors import RequestError
from quiver.domain.messages import ITEMS, Answer, Evidence, Header, Hello, Inventory
from quiver.domain.secret import Secret
from quiver.protocols import peer
from quiver.protocols.peer_answers import REFUSALS
from tests.protocols import peer_examples as examples

DOCUMENT: dict[str, Any] = json.loads(
    resources.files("quiver.protocols").joinpath("peer_openapi.json").read_text(encoding="utf-8")
)
SCHEMAS = DOCUMENT["components"]["schemas"]
KINDS = sorted(ITEMS)
few = settings(max_examples=15, deadline=None)  # for each of the kinds


def validator(reference: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": reference, "components": DOCUMENT["components"]})


def message_schema(kind: str) -> Draft202012Validator:
    operation = DOCUMENT["paths"][peer.PATH.format(kind=kind)]["post"]
    return validator(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"])


ANSWERS = validator("#/components/schemas/Answers")


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_every_kind_has_its_path_and_there_is_no_other() -> None:
    assert set(DOCUMENT["paths"]) == {peer.PATH.format(kind=kind) for kind in ITEMS}
    operations = [path["post"]["operationId"] for path in DOCUMENT["paths"].values()]
    assert len(set(operations)) == len(ITEMS)


@pytest.mark.parametrize("kind", KINDS)
@few
@given(choice=st.data())
def test_every_message_is_as_the_document_says(kind: str, choice: st.DataObject) -> None:
    body = peer.encode_message(kind, choice.draw(examples.headers), choice.draw(examples.items(kind)))
    message_schema(kind).validate(json.loads(body))


@pytest.mark.parametrize("kind", KINDS)
@few
@given(choice=st.data())
def test_every_answer_is_as_the_document_says(kind: str, choice: st.DataObject) -> None:
    body = peer.encode_answers(kind, choice.draw(examples.headers), choice.draw(examples.answers(kind)))
    ANSWERS.validate(json.loads(body))


@pytest.mark.parametrize("item", [*ITEMS.values(), Header, Evidence, Inventory], ids=lambda item: item.__name__)
def test_the_document_has_the_members_of_each_object(item: type[msgspec.Struct]) -> None:
    elsewhere = {"Announcement": {"pieces"}, "Segments": {"key_ids"}}.get(item.__name__, set())  # they are the key_IDs
    fields = [f for f in msgspec.structs.fields(item) if f.type is not Secret and f.name not in elsewhere]
    counted = {"count"} if item.__name__ == "Segments" else set()
    schema = SCHEMAS[item.__name__]
    assert set(schema["properties"]) == {field.name for field in fields} | counted
    assert set(schema["required"]) == {field.name for field in fields if field.required} | counted


def test_the_document_has_every_member_and_outcome_of_an_answer() -> None:
    members = set(Answer.__struct_fields__) - {"header"}
    assert set(SCHEMAS["Answer"]["properties"]) == members
    details = SCHEMAS["Refusal"]["properties"]["details"]["items"]["properties"]
    assert set(details) == {f"quiver_{member}" for member in members}
    assert set(details["quiver_outcome"]["enum"]) == {outcome.value for outcome in REFUSALS}


def test_the_examples_of_the_reference_can_be_decoded() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/peer-interface.md").read_text(encoding="utf-8")
    examples_of = re.findall(r"`POST /quiver/v1/(\w+)`\n\n```json\n(.*?)```", text, re.DOTALL)
    assert {kind for kind, _ in examples_of} == {"announcement", "ciphertext", "ready", "segments"}
    for kind, body in examples_of:
        assert peer.decode_message(kind, body.encode())[1]
    (answers,) = re.findall(r"## Answers\n.*?```json\n(.*?)```", text, re.DOTALL)
    assert len(peer.decode_answers("announcement", answers.encode())[1]) == 2


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where members of objects stand, at any depth."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(node, dict):
            yield (*path, name)
        yield from places(value, (*path, name))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {Hello.kind}))  # tables of an inventory may lack any entry
@few
@given(choice=st.data())
def test_what_the_document_requires_nodes_require(kind: str, choice: st.DataObject) -> None:
    """A body without one member is taken by a node only where it is as the document says."""
    body = json.loads(peer.encode_message(kind, choice.draw(examples.headers), choice.draw(examples.items(kind))))
    place = choice.draw(st.sampled_from(sorted(places(body), key=str)))
    node = body
    for name in place[:-1]:
        node = node[name]
    del node[place[-1]]
    try:
        peer.decode_message(kind, json.dumps(body).encode())
    except RequestError:
        assert not message_schema(kind).is_valid(body)
    else:
        assert message_schema(kind).is_valid(body)
