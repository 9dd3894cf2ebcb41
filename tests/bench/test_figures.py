"""Figures: names, shape and direction of ratios, on which scripts rely."""

import msgspec
import pytest

from quiver.bench.ceilings import Serial
from quiver.bench.figures import Machine, Report, latency, percentile, throughput


def test_a_rate_is_the_median_of_its_runs_and_its_ratio_says_how_much_of_the_ceiling_is_reached():
    figure = throughput("relay.bulk", "bytes/s", [30.0, 10.0, 20.0], "bare", [80.0, 90.0, 10.0])
    assert (figure.value, figure.min, figure.max, figure.runs) == (20.0, 10.0, 30.0, 3)
    assert (figure.ceiling.name, figure.ceiling.value, figure.ratio) == ("bare", 80.0, 0.25)


def test_a_time_that_is_four_times_the_least_possible_has_a_ratio_of_a_quarter_too():
    figure = latency("relay.latency", [8.0, 8.0, 9.0], "bare", [2.0, 2.0, 2.0])
    assert (figure.value, figure.unit, figure.ratio) == (8.0, "ms", 0.25)


def test_numbers_keep_four_digits_whatever_their_size():
    figure = throughput("relay.collect", "bytes/s", [123_456.0], "bare", [3.0])
    assert (figure.value, figure.ratio) == (123_500.0, 41_150.0)
    assert latency("relay.latency", [0.0123456], "bare", [0.01]).value == 0.01235


def test_the_json_object_has_the_members_that_the_command_contract_names():
    report = Report(Machine.here(), [throughput("relay.bulk", "bytes/s", [1.0], "bare", [2.0])])
    shown = msgspec.json.decode(msgspec.json.encode(report))
    assert set(shown) == {"machine", "figures"}
    assert set(shown["figures"][0]) == {"name", "value", "unit", "ceiling", "ratio", "runs", "min", "max"}
    assert set(shown["figures"][0]["ceiling"]) == {"name", "value"}


@pytest.mark.parametrize(
    ("serial", "round_trips", "commits"),
    [(Serial.buffered(), 2, 2), (Serial.unbuffered(1), 3, 4), (Serial.unbuffered(3), 5, 7)],
)
def test_the_least_latency_counts_the_messages_and_commits_of_one_key(serial: Serial, round_trips: int, commits: int):
    assert (serial.round_trips, serial.commits) == (round_trips, commits)
    assert serial.name == f"{round_trips} bare POST round trips + {commits} bare commits"


def test_a_percentile_is_the_time_within_which_so_many_of_a_hundred_ended():
    times = [float(number) for number in range(1, 101)]
    figure = percentile("reroute.p99", 99, times[::-1], "bare", [2 * time for time in times])
    assert (figure.value, figure.min, figure.max, figure.runs) == (99.0, 1.0, 100.0, 100)
    assert (figure.ceiling.value, figure.ratio, figure.unit) == (198.0, 2.0, "ms")
    assert percentile("reroute.p99", 99, [3.0, 1.0], "bare", [1.0, 1.0]).value == 3.0
