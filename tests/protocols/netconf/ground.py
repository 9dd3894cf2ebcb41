"""A server of our test modules, with clients that speak to it in plain XML and an owner that may refuse."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from lxml import etree

from quiver.domain.errors import QuiverError
from quiver.protocols.netconf import monitoring
from quiver.protocols.netconf.access import Access, Role
from quiver.protocols.netconf.actions import Action, Apply, Close, Moment, Send
from quiver.protocols.netconf.change import PendingChange
from quiver.protocols.netconf.datastores import Datastores
from quiver.protocols.netconf.edit import Operation, edit
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.framing import Framing, MessageReader, frame
from quiver.protocols.netconf.modules import ModuleName
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.server import Server
from quiver.protocols.netconf.tree import Branch, add_elements
from quiver.protocols.netconf.xml import BASE, Element, base, element

NET = "urn:quiver:test:network"
LAB = "urn:quiver:test:labels"
HERE = Path(__file__).parent
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
ALL = frozenset(Role)
WRITES = {
    "/example-network:network": frozenset((Role.CONTROLLER, Role.OPERATOR)),
    "/example-network:network/term": frozenset((Role.CONTROLLER,)),
    "/example-network:network/rule": frozenset((Role.OPERATOR,)),
    "/example-network:network/node/example-labels:label": frozenset((Role.OPERATOR,)),
    "/example-labels:labels": frozenset((Role.OPERATOR,)),
}
VERSION_1_1 = "<capability>urn:ietf:params:netconf:base:1.1</capability>"
HELLO_1_1 = f'<hello xmlns="{BASE}"><capabilities>{VERSION_1_1}</capabilities></hello>'
PREFIXES = f'xmlns:nc="{BASE}" xmlns:y="urn:ietf:params:xml:ns:yang:1" xmlns:net="{NET}"'


@cache
def schema() -> Schema:
    own = (ModuleName("example-network", "2026-11-01"), ModuleName("example-labels", "2026-11-02"))
    return Schema((*own, *monitoring.MODULES), [HERE])


def config(body: str, wrap: str = "network") -> Element:
    """A <config> with the network container around what stands in it."""
    start, end = (f'<network xmlns="{NET}">', "</network>") if wrap else ("", "")
    return etree.fromstring(f'<config xmlns="{BASE}" {PREFIXES} xmlns:lab="{LAB}">{start}{body}{end}</config>')


def tree(body: str = "") -> Branch:
    """A configuration that is not validated."""
    return edit(schema(), Branch(schema().root, {}), config(body), Operation.MERGE)


def text(branch: Branch) -> str:
    """A configuration as text without what is always around it."""
    holder = element("holder")
    add_elements(holder, branch)
    written = "".join(etree.tostring(top, encoding="unicode") for top in holder)
    return written.replace(f'<network xmlns="{NET}">', "").replace("</network>", "").replace(f' xmlns:net="{NET}"', "")


@dataclass
class Site:
    """The server and its edge: sends at once, and makes changes durable unless `refuse` says why not."""

    running: str = ""
    now: float = 0.0
    refuse: QuiverError | None = None
    slow: bool = False  # leave changes pending until `settle`
    deaf: set[int] = field(default_factory=set)  # sessions whose transport takes nothing
    state: list[str] = field(default_factory=list)  # what the node's state is, as XML
    events: int = 16
    against: str = ""  # a node that the owner does not take beside the node `in-the-way`

    def __post_init__(self):
        access = Access(schema(), WRITES)
        self.datastores = Datastores(
            schema(), tree(self.running), access, self.check, ["/example-network:network/term"]
        )
        self.server = Server(
            self.datastores, access, lambda _: map(etree.fromstring, self.state), self.moment, self.events
        )
        self.changes: list[PendingChange] = []
        self.applied: list[PendingChange] = []
        self.closed: dict[int, str] = {}
        self.clients: dict[int, Client] = {}
        self.checked: list[PendingChange] = []
        self._todo: deque[Action] = deque()

    @property
    def moment(self) -> Moment:
        return Moment(self.now, START + timedelta(seconds=self.now))

    def check(self, change: PendingChange) -> None:
        self.checked.append(change)
        if self.against and f">{self.against}<" in text(change.new) and "in-the-way" in text(change.new):
            raise RpcError(Tag.INVALID_VALUE, "the two are in each other's way")
        if self.refuse is not None:
            raise self.refuse

    def do(self, actions: list[Action]) -> None:
        """Do them in order, and what follows from them after all of them."""
        self._todo.extend(actions)
        if len(self._todo) > len(actions):
            return  # an outer call is at it
        self._work_off()
        while self.server.busy:
            self._todo.extend(self.server.work(self.moment))
            self._work_off()

    def _work_off(self) -> None:
        while self._todo:
            match self._todo[0]:
                case Send(number, data):
                    self.clients[number].arrived(data)
                    if number not in self.deaf:
                        self.do(self.server.sent(number, len(data), self.moment))
                case Close(number, reason):
                    assert number not in self.closed
                    self.closed[number] = reason
                case Apply(change):
                    self.changes.append(change)
                    if not self.slow:
                        self.settle()
            self._todo.popleft()

    def settle(self, error: QuiverError | None = None) -> None:
        change = self.changes.pop(0)
        if error is None:
            self.applied.append(change)
        self.do(self.server.applied(change.number, error, self.moment))

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.server.tick(self.moment))

    def lose(self, client: "Client") -> None:
        self.do(self.server.lost(client.number, self.moment))

    def publish(self, xml: str) -> None:
        self.do(self.server.publish(etree.fromstring(xml), self.moment))

    def client(self, role: Role = Role.OPERATOR, hello: str = HELLO_1_1) -> "Client":
        number, actions = self.server.open(f"{role.value}-1", role, "netconf-ssh", "192.0.2.7", self.moment)
        client = self.clients[number] = Client(self, number)
        self.do(actions)
        if hello:
            client.write(hello.encode() + b"]]>]]>")
            client.greeted("base:1.1" in hello)
        return client


class Client:
    """What a test says and hears."""

    def __init__(self, site: Site, number: int):
        self.site, self.number = site, number
        self.reader = MessageReader()
        self.framing = Framing.END_OF_MESSAGE
        self.messages: list[bytes] = []
        self._ids = 0

    def greeted(self, chunked: bool) -> None:
        self.hello = self.messages.pop(0)
        if chunked:
            self.framing = Framing.CHUNKED
            self.reader.switch(Framing.CHUNKED)

    @property
    def closed(self) -> str | None:
        return self.site.closed.get(self.number)

    def arrived(self, data: bytes) -> None:
        self.messages += self.reader.feed(data)

    def write(self, data: bytes) -> None:
        self.site.do(self.site.server.feed(self.number, data, self.site.moment))

    def say(self, message: str) -> None:
        self.write(frame(message.encode(), self.framing))

    def heard(self) -> Element:
        return etree.fromstring(self.messages.pop(0))

    def send(self, body: str) -> None:
        self._ids += 1
        self.say(f'<rpc message-id="{self._ids}" xmlns="{BASE}" {PREFIXES}>{body}</rpc>')

    def rpc(self, body: str) -> Element:
        """The reply to an operation; notifications that come before it stay in `messages`."""
        self.send(body)
        for index, message in enumerate(self.messages):
            root = etree.fromstring(message)
            if root.tag == base("rpc-reply"):
                del self.messages[index]
                assert root.get("message-id") == str(self._ids)
                return root
        raise AssertionError("no reply")

    def ok(self, body: str) -> None:
        reply = self.rpc(body)
        assert [part.tag for part in reply] == [base("ok")], etree.tostring(reply)

    def error(self, body: str) -> tuple[str, str]:
        """Tag and path of the error, the path with our prefixes."""
        return error_of(self.rpc(body))

    def data(self, body: str) -> Element:
        reply = self.rpc(body)
        assert [part.tag for part in reply] == [base("data")], etree.tostring(reply)
        return reply[0]


def edit_body(body: str, target: str = "running", options: str = "") -> str:
    inner = f'<network xmlns="{NET}">{body}</network>'
    return f"<edit-config><target><{target}/></target>{options}<config>{inner}</config></edit-config>"


def error_of(reply: Element) -> tuple[str, str]:
    assert [part.tag for part in reply] == [base("rpc-error")], etree.tostring(reply)
    return reply[0].findtext(base("error-tag"), ""), reply[0].findtext(base("error-path"), "")


def app_tag_of(reply: Element) -> str | None:
    return reply[0].findtext(base("error-app-tag"))


def config_of(data: Element) -> str:
    """What stands in the network container of a <data>, without declarations of prefixes."""
    written = "".join(etree.tostring(part, encoding="unicode") for part in data.iterfind(f"{{{NET}}}network/*"))
    for declaration in (f' xmlns="{NET}"', f' xmlns:net="{NET}"', f' xmlns="{BASE}"'):
        written = written.replace(declaration, "")
    return written
