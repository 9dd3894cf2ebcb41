"""A foreign reader of YANG, libyang's yanglint, takes our modules, and what we write as instances of them."""

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from quiver.domain.events import NumberedEvent, QberAlarm
from quiver.protocols.netconf.xml import Element
from quiver.protocols.yang.etsi_events import etsi_events_to_xml
from quiver.protocols.yang.etsi_node import etsi_node_to_xml
from quiver.protocols.yang.events import event_to_xml
from quiver.protocols.yang.library import OWN_MODULES, node_schema
from quiver.protocols.yang.names import DEVIATIONS_MODULE, ETSI_MODULE, ETSI_TYPES_MODULE, KMS_MODULE
from quiver.protocols.yang.provision import provision_to_xml
from quiver.protocols.yang.report import report_to_xml
from tests.protocols.yang import judges, test_etsi, test_provision, test_report

pytestmark = pytest.mark.system

ETSI = (ETSI_TYPES_MODULE, ETSI_MODULE)  # the identities first, or libyang takes none of them
EVENT = NumberedEvent(sequence=1, body=QberAlarm(link="a-b", neighbour="a", qber=0.12))


def yanglint(*arguments: str) -> str:
    """What yanglint complains about."""
    files = {module.name: module.file for module in node_schema().modules}
    searched = dict.fromkeys(file.parent for file in files.values())
    command = ["yanglint", *(part for place in searched for part in ("-p", str(place)))]
    named = [str(files[argument]) if argument in files else argument for argument in arguments]
    done = subprocess.run([*command, *named], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 or done.stderr
    return done.stderr


def judged(element: Element, kind: str, directory: Path, *modules: str) -> str:
    file = directory / "instance.xml"
    file.write_bytes(etree.tostring(element))
    return yanglint("-t", kind, *modules, str(file))


def test_libyang_reads_every_module() -> None:
    assert yanglint(*(module.name for module in OWN_MODULES)) == ""


def test_libyang_takes_the_configuration(tmp_path: Path) -> None:
    assert judged(provision_to_xml(test_provision.PROVISION), "config", tmp_path, KMS_MODULE) == ""


def test_libyang_takes_the_state(tmp_path: Path) -> None:
    state = judges.kms_with(report_to_xml(test_report.REPORT))
    assert judged(state, "data", tmp_path, KMS_MODULE) == ""
    state[0][0].text = "not\tprintable"
    assert "pattern" in judged(state, "data", tmp_path, KMS_MODULE)


def test_libyang_takes_a_notification(tmp_path: Path) -> None:
    assert judged(event_to_xml(EVENT, "0" * 32), "notif", tmp_path, KMS_MODULE) == ""


@pytest.mark.parametrize("modules", [ETSI, (*ETSI, DEVIATIONS_MODULE)], ids=["standard", "read only"])
def test_libyang_takes_the_standards_view(modules: tuple[str, ...], tmp_path: Path) -> None:
    view = etsi_node_to_xml(test_etsi.REPORT, test_etsi.FACTS)
    assert judged(view, "data", tmp_path, *modules) == ""


def test_libyang_takes_the_standards_notifications(tmp_path: Path) -> None:
    for notification in etsi_events_to_xml(EVENT, "b"):
        assert judged(notification, "notif", tmp_path, *ETSI) == ""
