"""What we restate of ETSI GS QKD 015 V2.1.1, and what we serve of it, against the official modules, where those are at hand.

They are not part of this repository. Their `when` defect is mended, or nothing that depends on the type of a link could exist.
"""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain.report import NodeReport
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.yang.etsi_events import etsi_events_to_xml
from quiver.protocols.yang.etsi_node import NodeFacts, etsi_node_to_xml
from tests.protocols.yang import examples, judges


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    return judges.official_schema(judges.official_files(tmp_path_factory.mktemp("official")))


@settings(max_examples=40, deadline=None)
@given(view=examples.views())
def test_the_view_of_any_node_is_an_instance(official: Schema, view: tuple[NodeReport, NodeFacts]) -> None:
    judges.judge(etsi_node_to_xml(*view), official)


@pytest.mark.parametrize("kind", examples.KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(choice=st.data())
def test_every_notification_is_one_of_the_standards(
    official: Schema, kind: type[msgspec.Struct], choice: st.DataObject
) -> None:
    for notification in etsi_events_to_xml(choice.draw(examples.events(kind)), choice.draw(examples.names)):
        judges.judge_notification(notification, official)


def described(schema: Schema) -> dict[tuple[str, ...], tuple[object, ...]]:
    """What every data node is, by its place."""
    return {
        node.tags: (
            node.kind,
            node.config,
            node.keys,
            node.mandatory,
            node.least,
            node.most,
            node.defaults,
            str(node.yang.type) if node.type else None,
        )
        for node in schema.root.below()
    }


def identities(schema: Schema) -> dict[object, object]:
    return {name: sorted(known.bases) for name, known in schema.model.schema_data.identity_adjs.items()}


def test_the_restated_modules_have_the_nodes_types_and_identities_of_the_official_ones(official: Schema) -> None:
    ours = judges.etsi_schema()
    assert described(ours) == described(official)
    assert identities(ours) == identities(official)


def test_the_restated_modules_have_the_notifications_of_the_official_ones(official: Schema) -> None:
    trees = [schema.model.ascii_tree() for schema in (judges.etsi_schema(), official)]
    assert "-n" in trees[0]
    assert trees[0] == trees[1]


def test_the_restated_modules_state_the_namespaces_prefixes_and_revisions_of_the_official_ones(
    official: Schema,
) -> None:
    facts = [
        {module.name: (module.namespace, module.prefix, module.revision) for module in schema.modules}
        for schema in (judges.etsi_schema(), official)
    ]
    assert facts[0] == facts[1]


def test_no_description_is_taken_over() -> None:
    directory = Path(judges.DIRECTORY)
    if not (judges.OFFICIAL / judges.MENDED).is_file():
        pytest.skip("the official files of ETSI GS QKD 015 are not beside this repository")
    official = "".join(path.read_text(encoding="utf-8") for path in judges.OFFICIAL.glob("etsi-*.yang"))
    theirs = set(_sentences(official))
    ours = [
        text for name in judges.ETSI for text in _sentences((directory / f"{name}.yang").read_text(encoding="utf-8"))
    ]
    assert [text for text in ours if text in theirs] == []


def _sentences(module: str) -> list[str]:
    """Quoted texts of several words, in one line each."""
    texts = (" ".join(part.split()) for part in module.split('"')[1::2])
    return [text for text in texts if text.count(" ") > 2 and not text.startswith("ETSI")]
