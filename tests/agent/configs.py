"""An agent's configuration for tests: alice, who has links to bob and dave, paths to carol and dave, and two SAEs."""

from pathlib import Path

from quiver.identity.lab import Lab

AGENT = """
[node]
id = "alice"
state = "state"

[peer]
listen = "127.0.0.1:8443"
source = "127.0.0.1"
certificate = "node-alice.pem"
private_key = "node-alice.key"
trust = "nodes-ca.pem"

[sae]
listen = "[::1]:8444"
certificate = "kme-alice.pem"
private_key = "kme-alice.key"
pq_certificate = "kme-pq-alice.pem"
pq_private_key = "kme-pq-alice.key"
trust = ["saes-ca.pem", "saes-pq-ca.pem"]

[device]
certificate = "device-client-alice.pem"
private_key = "device-client-alice.key"
trust = "devices-ca.pem"

[metrics]
listen = "127.0.0.1:9100"

[[links]]
id = "a-b"
neighbour = "bob"
level = 65536
device = { url = "https://127.0.0.1:9001", peer_sae_id = "bob", server_name = "KME-1", profile = "birch" }

[[links]]
id = "a-d"
neighbour = "dave"
collect = false
device = { url = "https://[::1]:9002", peer_sae_id = "dave" }

[[paths]]
virtual_link = "alice-carol"
path = 1
version = 2
nodes = ["alice", "bob", "carol"]
depth = 262144
priority = 3

[[paths]]
virtual_link = "dave-alice"
path = 1
version = 1
nodes = ["dave", "alice"]

[directory]
nodes = { bob = "127.0.0.1:9443", carol = "carol.example:9444", dave = "[::1]:9445" }
saes = { sae-1 = "alice", sae-2 = "carol" }
permitted = [["sae-1", "sae-2"]]
"""


def write_agent(directory: Path) -> Path:
    """The configuration's file, with all files that it names beside it."""
    directory.chmod(0o700)
    lab = Lab(directory)
    for profile in ("node", "kme", "kme-pq", "device-client"):
        lab.issue(profile, "alice")
    path = directory / "agent.toml"
    path.write_text(AGENT)
    return path
