"""What holds for all tests."""

import gc
import os
from pathlib import Path

import pytest

ALLOWED = Path(__file__).parents[1] / ".ci" / "allowed-skips"


def allowed_skips() -> dict[str, str]:
    """Test id (or the start of one) → why it may be skipped in continuous integration."""
    lines = (line.partition("#") for line in ALLOWED.read_text(encoding="utf-8").splitlines())
    return {name.strip(): reason.strip() for name, _, reason in lines if name.strip()}


class SkipsAreFailures:
    """In continuous integration a test that does not run proves nothing: a skip without a named reason fails the run."""

    def __init__(self):
        self.allowed = allowed_skips()
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report.nodeid)

    def pytest_collectreport(self, report):
        if report.skipped:
            self._note(report.nodeid)

    def _note(self, name: str) -> None:
        if not any(name.startswith(start) and reason for start, reason in self.allowed.items()):
            self.found.append(name)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if self.found and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for name in self.found:
            terminalreporter.write_line(f"skipped, and .ci/allowed-skips does not name it: {name}", red=True)


def pytest_configure(config):
    worker = hasattr(config, "workerinput")
    if os.environ.get("CI") == "true" and not worker:
        config.pluginmanager.register(SkipsAreFailures(), "skips-are-failures")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    """Thousands of collected tests are looked at by no garbage collection again: a sixth of the suite's time."""
    gc.collect()
    gc.freeze()
