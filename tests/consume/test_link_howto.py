"""What the how-to page shows is what the program takes."""

import re
from pathlib import Path

from quiver.consume.config import parse_consumer

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "link-encryptor.md"


def test_the_configurations_of_the_page_are_right(tmp_path: Path) -> None:
    whole, *others = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert parse_consumer(whole, tmp_path).kind == "link"
    frame, _, _ = whole.partition("[link]")
    for table in others:
        role = "initiator" if "of the initiator" in table else "responder"
        text = frame.replace('"initiator"', f'"{role}"')
        if role == "responder":
            text = text.replace("address =", "listen =")
        assert parse_consumer(text + table, tmp_path).consumer.role == role
    assert len(others) == 2
