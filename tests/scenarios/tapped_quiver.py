"""`quiver` with two taps, for scenarios that search what it wrote for the keys that it delivered.

    python tapped_quiver.py TAP demo ...

Each delivered key is appended to TAP/keys in hexadecimal digits; the agents' and devices' logs are copied to TAP/logs before the
demo removes them.
"""

import shutil
import sys
from pathlib import Path

from quiver.cli.main import run
from quiver.demo import network
from quiver.demo.load import Ledger
from quiver.domain.reply import DeliveredKey


def tap(directory: Path) -> None:
    """Install both taps."""
    repeated, remove = Ledger.repeated, shutil.rmtree

    def noting(self: Ledger, key: DeliveredKey) -> bool:
        with (directory / "keys").open("a") as file:
            file.write(key.key.reveal().hex() + "\n")
        return repeated(self, key)

    class Keeping:
        @staticmethod
        def rmtree(path: Path, ignore_errors: bool = False) -> None:
            shutil.copytree(path / "logs", directory / "logs", dirs_exist_ok=True)
            remove(path, ignore_errors=ignore_errors)

    Ledger.repeated = noting  # type: ignore[method-assign]
    network.shutil = Keeping  # type: ignore[assignment]


if __name__ == "__main__":
    tap(Path(sys.argv.pop(1)))
    run()
