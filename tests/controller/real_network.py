"""Three real agents in a row, their simulated devices and a controller, each a process; two SAEs at the ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quiver.client.kme import KmeClient
from quiver.client.operator import Access, OperatorClient
from quiver.identity.lab import Lab
from quiver.net.ports import free_ports
from quiver.net.tls import Credentials

NODES = ("a", "b", "c")
LINKS = (("a", "b"), ("b", "c"))
HOST = "127.0.0.1"
START = "from quiver.cli.{} import app; app()"  # one group of commands, without what the others need
SAES = {"sae-1": "a", "sae-3": "c"}

LINK = """
name = "{name}"
profile = "alder"
length_km = 1.0
time_scale = 50.0
state = "{state}"
"""
END = """
[[ends]]
kme_id = "KME-{name}-{node}"
sae_id = "{node}"
certificate = "{own.certificate}"
private_key = "{own.private_key}"
clients_ca = "{trust}"
"""
AGENT = """
[node]
id = "{node}"
state = "{node}"
[peer]
listen = "{host}:{peer}"
certificate = "{peer_own.certificate}"
private_key = "{peer_own.private_key}"
trust = "{lab.nodes_trust}"
[sae]
listen = "{host}:{sae}"
certificate = "{kme.certificate}"
private_key = "{kme.private_key}"
pq_certificate = "{kme_pq.certificate}"
pq_private_key = "{kme_pq.private_key}"
trust = ["{lab.saes_trust[0]}", "{lab.saes_trust[1]}"]
[device]
certificate = "{device.certificate}"
private_key = "{device.private_key}"
trust = "{lab.devices_trust}"
[management]
tls_listen = "{host}:{tls}"
certificate = "{management.certificate}"
private_key = "{management.private_key}"
trust = ["{lab.management_trust[0]}"]
[[management.users]]
name = "controller-1"
role = "controller"
[directory]
nodes = {{ {neighbours} }}
saes = {{ sae-1 = "a", sae-3 = "c" }}
permitted = [["sae-1", "sae-3"]]
"""
AGENTS_LINK = """
[[links]]
id = "{name}"
neighbour = "{other}"
level = 131072
device = {{ url = "{url}", peer_sae_id = "{other}", profile = "alder" }}
"""
CONTROLLER = """
[controller]
id = "controller-1"
state = "controller"
[management]
certificate = "{own.certificate}"
private_key = "{own.private_key}"
trust = ["{trust}"]
[northbound]
listen = "{host}:{port}"
certificate = "{north.certificate}"
private_key = "{north.private_key}"
trust = ["{trust}"]
"""


class RealNetwork:
    """All processes, and those who talk with them."""

    KILL = signal.SIGKILL

    def __init__(self, directory: Path) -> None:
        self.directory, self.lab = directory, Lab(directory / "lab")
        self.processes: dict[str, subprocess.Popen[str]] = {}
        drawn = iter(free_ports(3 * len(NODES) + 1))
        self.ports = {node: {plane: next(drawn) for plane in ("peer", "sae", "tls")} for node in NODES}
        self.north = next(drawn)
        self.saes = {sae: self.lab.issue("sae", sae) for sae in SAES}
        self.operator = self.lab.issue("operator", "anna")

    # --- processes ---

    def launch(self, name: str, *arguments: object) -> None:
        """Start a process, and do not wait for it."""
        with (self.directory / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", START.format(arguments[0]), *map(str, arguments[1:])],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.directory,
            )
        self.processes[name] = process

    def ready(self, name: str) -> Any:
        """What a process says when it listens."""
        output = self.processes[name].stdout
        assert output is not None
        return json.loads(output.readline())

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a process."""
        process = self.processes.pop(name)
        process.send_signal(number)
        with process:
            process.wait(timeout=60)

    def start_all(self) -> None:
        """Devices, agents and the controller."""
        names = {"-".join(link): link for link in LINKS}
        for name, ends in names.items():
            self.launch(name, "device", "run", self._link(name, ends))
        urls = {(name, end["sae_id"]): end["url"] for name in names for end in self.ready(name)["ends"]}
        for node in NODES:
            self._agent(node, urls)
            self.launch(node, "agent", "run", f"{node}.toml")
        self._controller()
        self.launch("controller", "controller", "run", "controller.toml")
        for name in (*NODES, "controller"):
            self.ready(name)

    def start_agent(self, node: str) -> None:
        """Start an agent again."""
        self.launch(node, "agent", "run", f"{node}.toml")
        self.ready(node)

    def start_controller(self) -> None:
        """Start the controller again."""
        self.launch("controller", "controller", "run", "controller.toml")
        self.ready("controller")

    # --- files ---

    def _link(self, name: str, ends: Sequence[str]) -> Path:
        text = LINK.format(name=name, state=self.directory / name)
        for node in ends:
            own = self.lab.issue("device", f"KME-{name}-{node}")
            text += END.format(name=name, node=node, own=own, trust=self.lab.devices_trust)
        path = self.directory / f"{name}.link.toml"
        path.write_text(text)
        return path

    def _agent(self, node: str, urls: dict[tuple[str, str], str]) -> None:
        near = {("-".join(link)): other for link in LINKS for other in link if node in link and other != node}
        text = AGENT.format(
            node=node,
            host=HOST,
            lab=self.lab,
            **self.ports[node],
            peer_own=self.lab.issue("node", node),
            kme=self.lab.issue("kme", node),
            kme_pq=self.lab.issue("kme-pq", node),
            device=self.lab.issue("device-client", node),
            management=self.lab.issue("management", node),
            neighbours=", ".join(f'{other} = "{self.peer(other)}"' for other in near.values()),
        )
        for name, other in near.items():
            text += AGENTS_LINK.format(name=name, other=other, url=urls[name, node])
        (self.directory / f"{node}.toml").write_text(text)

    def _controller(self) -> None:
        text = CONTROLLER.format(
            own=self.lab.issue("controller", "controller-1"),
            north=self.lab.issue("northbound", "controller-1"),
            trust=self.lab.management_trust[0],
            host=HOST,
            port=self.north,
        )
        for node in NODES:
            where = f'tls = "{HOST}:{self.ports[node]["tls"]}"\npeer = "{self.peer(node)}"\n'
            text += f'[[agents]]\nid = "{node}"\n{where}'
        for source, destination in (("a", "c"), ("c", "a")):
            text += f'[[demands]]\nname = "{source}-{destination}"\nsource = "{source}"\n'
            text += f'destination = "{destination}"\ndepth = 16384\n'
        (self.directory / "controller.toml").write_text(text)

    def peer(self, node: str) -> str:
        """Address of a peer plane."""
        return f"{HOST}:{self.ports[node]['peer']}"

    # --- who talks with them ---

    def north_client(self) -> OperatorClient:
        """An operator."""
        return OperatorClient(
            Access(
                url=f"https://{HOST}:{self.north}",
                certificate=str(self.operator.certificate),
                private_key=str(self.operator.private_key),
                ca=str(self.lab.management_trust[0]),
            )
        )

    def sae_client(self, sae: str) -> KmeClient:
        """An SAE, towards its own node."""
        own: Credentials = self.saes[sae]
        url = f"https://{HOST}:{self.ports[SAES[sae]]['sae']}"
        return KmeClient(url, own, self.lab.saes_trust)


@contextmanager
def real_network(directory: Path) -> Iterator[RealNetwork]:
    """A network that runs until the end of the block."""
    network = RealNetwork(directory)
    try:
        network.start_all()
        yield network
    finally:
        for name in list(network.processes)[::-1]:
            network.end(name, signal.SIGKILL)
