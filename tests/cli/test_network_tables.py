"""Tables of `quiver network`: what stands in them."""

import pytest

from quiver.cli.network_tables import show_links


def test_the_table_of_links_shows_the_pad_of_each_link_and_where_its_ends_stop_collecting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    link = {
        "ends": ["a", "b"],
        "state": "up",
        "rate": 5000,
        "qber": 0.021,
        "producing": True,
        **dict.fromkeys(("drained", "unsteady", "alarmed"), False),
        "pads": {node: {"own": 1 << 20, "level": 1 << 21} for node in "ab"},  # of both links together
    }
    show_links(
        [
            {**link, "id": "one", "link_pads": {"a": {"own": 4096, "level": 8192}, "b": {"own": 0, "level": 8192}}},
            {**link, "id": "two", "link_pads": {"a": {"own": 512, "level": 1024}, "b": {"own": 7, "level": 1024}}},
        ]
    )
    said = capsys.readouterr().out
    assert "a 4096 B of 8192 B, b 0 B of 8192 B" in said
    assert "a 512 B of 1024 B, b 7 B of 1024 B" in said
