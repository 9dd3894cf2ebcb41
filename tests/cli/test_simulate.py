"""`quiver simulate` as a user has it: a table or one JSON object, plots, exit codes."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from quiver.cli.main import app
from quiver.simulate.trace import committed, written


def simulate(*options: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["simulate", *options])


def test_json_is_exactly_one_object_with_every_policy_on_every_seed():
    result = simulate("backbone-145", "--json", "--seed", "1", "--seed", "2")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    shown = json.loads(result.stdout)
    assert (shown["network"], shown["nodes"], shown["links"]) == ("backbone-145", 145, 144)
    assert [one["policy"] for one in shown["summary"]] == ["static", "key-aware", "global"]
    assert [run["seed"] for run in shown["runs"]] == [1, 2]
    for run in shown["runs"]:
        for outcome in run["outcomes"]:
            assert 0 < outcome["served"] <= outcome["demanded"]
            assert outcome["rejected"] == sum(outcome["rejected_by_class"].values()) <= outcome["requests"]
            assert len({len(values) for values in outcome["series"].values()}) == 1
    assert "seed 2, global" in result.stderr


def test_a_table_shows_the_policies_that_were_asked_for():
    result = simulate("backbone-145", "--policy", "static", "--policy", "key-aware")
    assert result.exit_code == 0
    assert "145 nodes, 144 links" in result.stdout
    assert "key-aware" in result.stdout
    assert "global" not in result.stdout


def test_a_trace_of_ones_own_names_its_network(tmp_path: Path):
    path = written(committed("backbone-145")[0], tmp_path)
    shown = json.loads(simulate("--trace", str(path), "--policy", "static", "--json").stdout)
    assert shown["network"] == "backbone-145"
    other = simulate("mesh-20", "--trace", str(path))
    assert other.exit_code == 1
    assert "backbone-145, not of mesh-20" in other.stderr


def test_plots_are_written_for_each_seed(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    result = simulate("backbone-145", "--policy", "static", "--plots", str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"backbone-145.01.{kind}.png" for kind in ("pads", "rejections", "served")]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "new").iterdir())


def test_without_matplotlib_plots_are_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = simulate("backbone-145", "--plots", str(tmp_path))
    assert result.exit_code == 1
    assert "quiver-qkd[plots]" in result.stderr
    assert "static" not in result.stderr
    assert simulate("backbone-145", "--policy", "static").exit_code == 0


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (["nowhere"], 1, "mesh-N"),
        (["--trace", "/nonexistent"], 1, "/nonexistent"),
        (["--trace", __file__], 1, "trace"),
        (["--policy", "best"], 2, "key-aware"),
        (["--level", "-1"], 2, "--level"),
        (["--seed", "x"], 2, "--seed"),
    ],
)
def test_what_cannot_be_simulated_is_said(options: list[str], code: int, named: str):
    result = simulate(*options)
    assert result.exit_code == code
    assert named in result.stderr
    assert not result.stdout
