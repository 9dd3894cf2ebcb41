"""Nobody takes all places of a plane."""

import pytest

from quiver.domain.errors import LimitError
from quiver.net.places import Places


def places(**changed: int) -> Places:
    return Places(**{"most": 10, "each": 4, "kept": 3, **changed}, favoured=lambda user: user == "ctrl")  # type: ignore[arg-type]


def test_one_user_gets_its_share_and_no_more_until_it_gives_one_back():
    made = places()
    for _ in range(4):
        made.take("audrey")
    with pytest.raises(LimitError, match="4 are this user's already"):
        made.take("audrey")
    made.take("olga")
    made.give("audrey")
    made.take("audrey")


def test_what_is_kept_for_the_favoured_is_theirs_however_many_others_come():
    made = places()
    for number in range(7):
        made.take(f"user{number}")
    with pytest.raises(LimitError, match="7 are taken already"):
        made.take("olga")
    for _ in range(3):
        made.take("ctrl")
    with pytest.raises(LimitError, match="10 are taken already"):
        made.take("ctrl")
