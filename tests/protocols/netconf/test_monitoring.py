"""What the server says of itself fits the IETF's own modules, as yangson reads them from the XML that a client gets."""

import xml.etree.ElementTree as ET

from yangson.enumerations import ContentType, ValidationScope
from yangson.xmlparser import XMLParser

from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.capabilities import content_id
from quiver.protocols.netconf.xml import LIBRARY, MONITORING
from tests.protocols.netconf.ground import NET, Site, schema

LIB = f"{{{LIBRARY}}}"
RUNNING = (
    "<banner>x</banner><routes><route><name>a</name><version>1</version><hop>h</hop><colour>net:red</colour></route></routes>"
    "<node><id>n</id><address>1</address><sae/></node>"
)
STATE = (
    f'<network xmlns="{NET}"><routes><route><name>a</name><version>1</version><level>7</level></route></routes>'
    "<state><uptime>5</uptime></state></network>"
)


def filtered(namespace: str, *names: str) -> str:
    return "<get><filter>" + "".join(f'<{name} xmlns="{namespace}"/>' for name in names) + "</filter></get>"


def judged(message: bytes) -> set[str]:
    """Names of the top-level nodes of a reply's data, which yangson has found valid."""
    data = XMLParser(message.decode().partition("?>")[2]).root[0]
    instance = schema().model.from_xml(data)
    instance.validate(ValidationScope.all, ContentType.all)
    return set(instance.value)


def test_everything_that_get_shows_is_valid():
    site = Site(running=RUNNING)
    site.state = [STATE]
    client, other = site.client(), site.client(Role.CONTROLLER)
    other.ok("<lock><target><running/></target></lock>")
    tops = ((MONITORING, "netconf-state"), (LIBRARY, "yang-library"), (LIBRARY, "modules-state"), (NET, "network"))
    client.send(
        "<get><filter>" + "".join(f'<{name} xmlns="{namespace}"/>' for namespace, name in tops) + "</filter></get>"
    )
    assert {name.partition(":")[2] for name in judged(client.messages.pop())} == {name for _, name in tops}


def test_the_library_names_every_module_once_with_its_part():
    data = Site().client().data(filtered(LIBRARY, "yang-library", "modules-state"))
    listed = data.iterfind(f"{LIB}yang-library/{LIB}module-set/*")
    new = {each.findtext(f"{LIB}name"): local(each) for each in listed if len(each)}
    assert new["example-network"] == "module"
    assert new["ietf-inet-types"] == "import-only-module"
    old = {each.findtext(f"{LIB}name") for each in data.iterfind(f"{LIB}modules-state/{LIB}module")}
    assert old == set(new) == {module.name for module in schema().modules}


def local(element: "ET.Element") -> str:
    return str(element.tag).rpartition("}")[2]


def test_the_content_id_says_which_modules_there_are():
    modules = schema().modules
    data = Site().client().data(filtered(LIBRARY, "yang-library", "modules-state"))
    assert data.findtext(f"{LIB}yang-library/{LIB}content-id") == content_id(modules)
    assert data.findtext(f"{LIB}modules-state/{LIB}module-set-id") == content_id(modules)
    assert content_id(modules[1:]) != content_id(modules) == content_id(reversed(modules))
