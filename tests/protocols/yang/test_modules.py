"""The modules' texts: judged by pyang, found wherever they were installed, and described in the reference as they are."""

import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree
from yangson.exceptions import YangsonException

from quiver.domain.errors import ConfigurationError
from quiver.protocols.netconf import modules, monitoring
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.xml import LIBRARY, qualified
from quiver.protocols.yang.etsi_node import etsi_node_to_xml
from quiver.protocols.yang.library import DIRECTORY, MODULES, OWN_MODULES, node_schema
from quiver.protocols.yang.names import DEVIATIONS_MODULE, ETSI_MODULE, ETSI_NODE, KMS_MODULE
from tests.protocols.yang import reference
from tests.protocols.yang.judges import etsi_schema, judge, judge_all
from tests.protocols.yang.test_etsi import FACTS, REPORT

# What RFC 8407 advises against and ETSI GS QKD 015 does all the same: a mandatory leaf at the top, and saying the obvious,
# which the deviation needs.
OF_THE_STANDARD = (
    "top-level node qkd_node must not be mandatory",
    'statement "config" is given with its default value "true"',
)


def pyang(*arguments: str) -> list[str]:
    """What pyang complains about."""
    collection = ":".join(str(place) for place in (DIRECTORY, *modules._collected()))
    command = [sys.executable, "-m", "pyang", "-p", collection, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return [line for line in done.stderr.splitlines() if not line.endswith(OF_THE_STANDARD)]


@pytest.mark.parametrize("name", [module.name for module in OWN_MODULES])
def test_pyang_has_no_complaint(name: str) -> None:
    assert pyang("--strict", "--lint", "--max-line-length", "120", str(DIRECTORY / f"{name}.yang")) == []


def test_every_module_of_this_package_is_served_and_states_what_the_library_says() -> None:
    assert {file.stem for file in DIRECTORY.glob("*.yang")} == {module.name for module in OWN_MODULES}
    schema = node_schema()
    assert [(module.name, module.revision) for module in schema.modules] == [
        (one.name, one.revision) for one in MODULES
    ]
    assert all(f"module {module.name} {{" in module.text for module in schema.modules[: len(OWN_MODULES)])
    assert node_schema() is schema  # made once


def test_what_a_module_imports_is_served_with_it() -> None:
    data = node_schema().model.schema_data
    imported = {used for module in data.modules.values() for used in module.prefix_map.values()}
    assert imported <= {(module.name, module.revision) for module in MODULES}


def test_the_yang_library_is_an_instance_of_its_module_and_names_the_deviations() -> None:
    """RFC 8525, and RFC 7895 for older clients."""
    served = node_schema().modules
    trees = {"module-set/module": monitoring.library(served), "module": monitoring.modules_state(served)}
    judge_all(trees.values(), Schema(monitoring.MODULES))
    for path, tree in trees.items():
        listed = tree.findall("/".join(qualified(LIBRARY, name) for name in path.split("/")))
        deviations = {
            module.findtext(qualified(LIBRARY, "name")): "@".join(deviation.itertext())
            for module in listed
            for deviation in module.findall(qualified(LIBRARY, "deviation"))
        }
        assert list(deviations) == [ETSI_MODULE]
        assert deviations[ETSI_MODULE].startswith(DEVIATIONS_MODULE)


def test_a_collection_without_the_modules_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules.metadata, "files", lambda _: None)
    with pytest.raises(ConfigurationError, match="YANG module ietf-netconf@2011-06-01"):
        Schema(MODULES, (DIRECTORY,))


def test_the_standards_tree_can_be_read_and_not_written() -> None:
    schema = node_schema()
    top = schema.node("/etsi-qkd-sdn-node:qkd_node")
    assert not any(node.config for node in top.below())
    configurable = {node.module for node in schema.root.below() if node.config and node.name}
    assert configurable == {KMS_MODULE}


@pytest.mark.parametrize(("kind", "leaf"), [("PHYS", "virt_prev_hop"), ("VIRT", "phys_channel_att")])
def test_a_link_has_no_leaf_of_the_other_kind_of_link(kind: str, leaf: str) -> None:
    """The conditions of the standard's tree hold, as they were meant."""
    value = {"virt_prev_hop": "19ae7444-4eba-587b-916f-02ea1e6519d1", "phys_channel_att": "1.5"}[leaf]
    view = etsi_node_to_xml(REPORT, FACTS)
    links = view.findall(f"{{{ETSI_NODE}}}qkd_links/{{{ETSI_NODE}}}qkd_link")
    right, wrong = (
        [link for link in links if (link.findtext(f"{{{ETSI_NODE}}}qkdl_type") == f"etsi-qkdn-types:{kind}") is same]
        for same in (False, True)
    )
    added = etree.SubElement(right[0], f"{{{ETSI_NODE}}}{leaf}")
    added.text = value
    for other in right[0].findall(added.tag)[:-1]:
        right[0].remove(other)
    judge(view, etsi_schema())
    wrong[0].append(added)
    with pytest.raises(YangsonException):
        judge(view, etsi_schema())


def test_the_reference_shows_the_modules_as_they_are() -> None:
    """`python -m tests.protocols.yang.reference` brings it up to date."""
    page = Path(reference.PAGE).read_text(encoding="utf-8")
    assert reference.renewed(page) == page
