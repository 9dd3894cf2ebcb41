"""Say exactly what a fresh machine lacks before anything is installed. Runs on any Python 3."""

import importlib.util
import platform
import sys

OLDEST = (3, 11)


def missing():
    """Yield one sentence for each thing that is missing."""
    if sys.version_info < OLDEST:
        yield "Python {}.{} or newer is needed, this is {}. Try: make install PYTHON=python3.12".format(
            *OLDEST, platform.python_version()
        )
    if platform.python_implementation() != "CPython":
        yield f"CPython is needed, this is {platform.python_implementation()}."
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            yield f"the Python module {module} is missing. Debian: apt install python3-venv"
    if sys.platform != "linux":
        yield f"Quiver runs on Linux; this is {sys.platform}."


def main():
    """Print what is missing and exit with 1, or say nothing."""
    problems = list(missing())
    for problem in problems:
        print("quiver:", problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
