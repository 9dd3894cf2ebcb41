"""Judges of instances that we did not write: yangson, with our modules and with the official ones, and libyang's yanglint."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree
from yangson.enumerations import ContentType
from yangson.instance import RootNode
from yangson.instvalue import ObjectValue
from yangson.xmlparser import XMLParser

from quiver.protocols.netconf.modules import ModuleName
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.xml import Element, element
from quiver.protocols.yang.library import DIRECTORY, MODULES
from quiver.protocols.yang.names import ETSI_MODULE, ETSI_TYPES_MODULE, KMS, KMS_MODULE

OFFICIAL = Path(__file__).parents[4] / "shared" / "yang"
MENDED = "etsi-qkd-sdn-node.patched-when.yang"
ETSI = (ETSI_MODULE, ETSI_TYPES_MODULE)
FOR_ETSI = (*ETSI, "ietf-yang-types", "ietf-inet-types")


def _named(*names: str) -> tuple[ModuleName, ...]:
    return tuple(module for module in MODULES if module.name in names)


@cache
def kms_schema() -> Schema:
    """`quiver-kms` alone, so that nothing mandatory of other modules is missing beside an instance."""
    return Schema(_named(KMS_MODULE), (DIRECTORY,))


@cache
def etsi_schema() -> Schema:
    """The tree of ETSI GS QKD 015 as we restate it."""
    return Schema(_named(*FOR_ETSI), (DIRECTORY,))


@cache
def official_schema(directory: Path) -> Schema:
    """The official modules.

    Args:
        directory: as from `official_files`.
    """
    return Schema(_named(*FOR_ETSI), (directory,))


def official_files(directory: Path) -> Path:
    """The official modules, the one of the tree with its `when` defect mended, under the names that they state.

    Args:
        directory: a new one, which is returned.
    """
    if not (OFFICIAL / MENDED).is_file():
        pytest.skip("the official files of ETSI GS QKD 015 are not beside this repository")
    for name, source in zip(ETSI, (MENDED, f"{ETSI_TYPES_MODULE}.yang"), strict=True):
        (directory / f"{name}.yang").write_text((OFFICIAL / source).read_text(encoding="utf-8"), encoding="utf-8")
    return directory


def _read(text: str) -> ElementTree.Element:
    root = XMLParser(text).root
    for leaf in root.iter():
        leaf.text = leaf.text or ""  # an empty text is a text, which yangson forgets
    return root


def judge(instance: Element, schema: Schema, content: ContentType = ContentType.all) -> None:
    """Raise a YangsonException unless a top-level data node is a valid instance."""
    judge_all([instance], schema, content)


def judge_all(instances: Iterable[Element], schema: Schema, content: ContentType = ContentType.all) -> None:
    """Raise a YangsonException unless top-level data nodes are together a valid instance."""
    texts = "".join(etree.tostring(instance, encoding="unicode") for instance in instances)
    schema.model.from_xml(_read(f"<data>{texts}</data>")).validate(ctype=content)


def judge_notification(instance: Element, schema: Schema) -> None:
    """Raise a YangsonException unless a notification is a valid instance."""
    tag = etree.QName(instance)
    module = schema.by_namespace[tag.namespace].name
    root = _read(etree.tostring(instance, encoding="unicode"))
    read = schema.model.from_xml(root, subschema=f"{module}:{tag.localname}")
    # yangson reads the members of a notification without their module's name, and then wants them with it
    members = ObjectValue({f"{module}:{name}": value for name, value in read.value.items()}, read.timestamp)
    RootNode(members, read.schema_node, schema.model.schema_data, read.timestamp).validate(ctype=ContentType.all)


def kms_with(*parts: Element) -> Element:
    """A `kms` with these children."""
    kms = element(f"{{{KMS}}}kms")
    kms.extend(parts)
    return kms
