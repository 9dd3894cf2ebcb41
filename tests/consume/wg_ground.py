"""A tool `wg` that keeps one peer in a file, and says of it what the real one would: no root, no interface."""

import json
import stat
import sys
from pathlib import Path
from typing import Any, Final

PEER: Final = "jmS0HdJ9ymV2YZR7vnrvOfsULTYqCXwHmaS/OQlGoDo="
TOOL = f"""#!{sys.executable} -SE
import json, os, sys
path = os.path.realpath(__file__) + ".json"
state = json.load(open(path))
verb, interface, *words = sys.argv[1:]
peer = state["peer"]
if verb == "show":
    if peer is not None:
        print("{PEER}", peer.get(words[0]) or ("0" if words[0] == "latest-handshakes" else "(none)"), sep="\\t")
    sys.exit()
assert words[:2] == ["peer", "{PEER}"]
state["log"].append(words[2:])
names = {{"preshared-key": "preshared-keys", "endpoint": "endpoints", "allowed-ips": "allowed-ips"}}
if words[2:] == ["remove"]:
    peer = None
else:
    peer = dict(peer or {{}})
    for option, value in zip(words[2::2], words[3::2]):
        if option == "endpoint" and not value[0].isdigit() and not state["resolves"]:
            sys.exit("Name or service not known: " + value)
        peer[names.get(option, option)] = open(value).read().strip() if value.startswith("/") else value
state["peer"] = peer
json.dump(state, open(path, "w"))
"""


class Tool:
    """The tool with its state.

    Attributes:
        program: its path.
    """

    def __init__(self, directory: Path) -> None:
        self.program = directory / "wg"
        self._state = directory / "wg.json"
        self.program.write_text(TOOL)
        self.program.chmod(stat.S_IRWXU)
        self._state.write_text(json.dumps({"peer": None, "resolves": True, "log": []}))

    def __getitem__(self, name: str) -> Any:
        """`peer` as `wg show` tells it, or None; `log`, the words of each `wg set`; `resolves`, whether names do."""
        return json.loads(self._state.read_text())[name]

    def __setitem__(self, name: str, value: object) -> None:
        """Change it, as somebody else would."""
        state = json.loads(self._state.read_text())
        self._state.write_text(json.dumps({**state, name: value}))

    @property
    def held(self) -> str | None:
        """The peer's pre-shared key in base64; None where it has none."""
        peer = self["peer"]
        return None if peer is None else peer.get("preshared-keys")
