"""For all tests of commands."""

from tests.own_logging import own_logging

__all__ = ["own_logging"]
