"""`quiver demo` refuses what it cannot do before it starts anything."""

import pytest
from typer.testing import CliRunner

from quiver.cli import demo as module
from quiver.cli.main import app


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        pytest.fail("a network was started")

    monkeypatch.setattr(module, "run_job", refuse)
    monkeypatch.setattr(module, "serve", refuse)


@pytest.mark.parametrize(
    ("options", "named", "allowed"),
    [
        (["--size", "63"], "--size", "64"),
        (["--size", "65544"], "--size", "65536"),
        (["--size", "100"], "--size", "multiple of 8"),
        (["--size", "many"], "--size", "integer"),
        (["--keys", "0"], "--keys", "1"),
        (["--keys", "100001"], "--keys", "100000"),
        (["--seed", "-1"], "--seed", "0"),
        (["--serve", "--trace"], "--trace", "--serve"),
        (["--loud"], "--loud", "No such option"),
    ],
)
def test_wrong_usage_is_code_2_with_the_option_and_what_is_allowed(options: list[str], named: str, allowed: str):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["demo", *options])
    assert result.exit_code == 2
    assert named in result.output
    assert allowed in result.output
    assert not result.stdout
