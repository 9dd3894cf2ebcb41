"""For all tests of the agent, some of which run commands."""

from tests.own_logging import own_logging

__all__ = ["own_logging"]
