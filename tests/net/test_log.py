"""What a process writes about itself, and what never stands there."""

import asyncio
import gc
import json
import logging
from typing import Any

import pytest
import structlog

from quiver.domain.secret import Secret
from quiver.net import log
from tests.own_logging import own_logging

__all__ = ["own_logging"]


def events(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    out, err = capsys.readouterr()
    assert out == "", "stdout belongs to results"
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_one_line_of_json_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO")
    logger = structlog.get_logger("quiver.test")
    logger.debug("not asked for")
    logger.info("two\nlines", plane="SAE", number=3)
    (event,) = events(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "two\nlines", "level": "info", "logger": "quiver.test", "plane": "SAE", "number": 3}


def test_secrets_and_the_text_of_exceptions_never_stand_there(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("DEBUG")
    try:
        raise ValueError("key c0ffee")
    except ValueError:
        structlog.get_logger("quiver.test").exception("failed", key=Secret(b"c0ffee"))
        logging.getLogger("library").exception("failed with %s", "c0ffee")
    ours, theirs = events(capsys)
    assert ours["key"] == "<Secret of 6 bytes>"
    for event in (ours, theirs):
        assert event["exception"].startswith("ValueError at test_log.py:")
        assert "c0ffee" not in json.dumps(event)
    assert (theirs["event"], theirs["logger"]) == ("failed with %s", "library")


def test_a_task_that_nobody_asked_about_is_reported_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO")

    async def fail() -> None:
        raise ValueError("key c0ffee")

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(main())
    (event,) = events(capsys)
    assert (event["event"], event["level"]) == ("Task exception was never retrieved", "error")
    assert event["exception"].startswith("ValueError at test_log.py:")
    assert "c0ffee" not in json.dumps(event)
