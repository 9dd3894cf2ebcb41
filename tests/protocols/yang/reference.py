"""The parts of docs/reference/yang.md that follow from the modules: tables of modules and notifications, and pyang's trees.

`python -m tests.protocols.yang.reference` writes them anew, between their marks; everything else on the page is left alone.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from yangson.schemanode import NotificationNode

from quiver.protocols.netconf import modules
from quiver.protocols.yang.library import DIRECTORY, OWN_MODULES, node_schema
from quiver.protocols.yang.names import ETSI_MODULE, KMS_MODULE

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "yang.md"


def renewed(page: str) -> str:
    """The page with each marked part as the modules want it."""
    for mark, make in PARTS.items():
        pattern = re.compile(rf"(<!-- from the modules: {mark} -->\n).*?(<!-- end -->)", re.DOTALL)
        part = make()
        page, count = pattern.subn(lambda found, part=part: f"{found[1]}{part}\n{found[2]}", page)
        assert count == 1, f"{PAGE.name} has no place for {mark}"
    return page


def table_of_modules() -> str:
    """All modules that a node serves."""
    own = {module.name for module in OWN_MODULES}
    lines = ["| Module | Revision | Namespace | |", "|---|---|---|---|"]
    for module in node_schema().modules:
        use = "here" if module.name in own else "from pyang's collection"
        kind = "implemented" if module.implemented else "imported only"
        lines.append(f"| `{module.name}` | {module.revision} | `{module.namespace}` | {use}, {kind} |")
    return "\n".join(lines)


def table_of_notifications() -> str:
    """The notifications of `quiver-kms`, without the leaves that all of them have."""
    lines = ["| Notification | Leaves | |", "|---|---|---|"]
    for node in node_schema().model.schema.children:
        if isinstance(node, NotificationNode) and node.ns == KMS_MODULE:
            leaves = ", ".join(f"`{name}`" for name in _leaves(node) if name not in {"run", "sequence"})
            lines.append(f"| `{node.name}` | {leaves} | {' '.join(node.description.split())} |")
    return "\n".join(lines)


def _leaves(node: Any) -> list[str]:
    return [child.name for child in node.children]


def tree(name: str) -> str:
    """The tree of a module (RFC 8340)."""
    collection = ":".join(str(place) for place in (DIRECTORY, *modules._collected()))
    arguments = ["-f", "tree", "--tree-line-length", "110", "-p", collection, str(DIRECTORY / f"{name}.yang")]
    done = subprocess.run(
        [sys.executable, "-m", "pyang", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return f"```\n{done.stdout.strip()}\n```"


PARTS = {
    "modules": table_of_modules,
    "notifications": table_of_notifications,
    "tree of quiver-kms": lambda: tree(KMS_MODULE),
    "tree of etsi-qkd-sdn-node": lambda: tree(ETSI_MODULE),
}

if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
