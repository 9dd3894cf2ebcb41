"""What all commands of `quiver network` have in common: where the controller is, who asks, and how results are printed."""

import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
import uvloop

from quiver.client.operator import Access, OperatorClient, find_access
from quiver.domain.errors import QuiverError
from quiver.net.http_client import Timeouts

__all__ = ["Session", "with_session"]

_T = TypeVar("_T")
_CONNECT: Final = 5.0  # seconds at most to connect


class Session:
    """A talk with one controller.

    Args:
        access: where it is, and who we are.
        timeout: seconds of each call.
        as_json: whether results are one JSON object.
    """

    def __init__(self, access: Access, timeout: float, *, as_json: bool) -> None:
        self._access: Final = access
        self._timeouts: Final = Timeouts(min(_CONNECT, timeout), timeout)
        self._as_json: Final = as_json

    def ask(self, talk: Callable[[OperatorClient], Awaitable[_T]]) -> _T:
        """What comes of a talk.

        Raises:
            QuiverError: the controller refused, or gave no answer.
        """

        async def run() -> _T:
            async with OperatorClient(self._access, timeouts=self._timeouts) as client:
                return await talk(client)

        return uvloop.run(run())

    def show(self, values: dict[str, Any], table: Callable[[], None]) -> None:
        """Print one JSON object, or what `table` prints."""
        if self._as_json:
            sys.stdout.write(json.dumps(values) + "\n")
        else:
            table()

    def say(self, values: dict[str, Any], words: str) -> None:
        """Print one JSON object, or a sentence."""
        self.show(values, lambda: _line(words))


def _line(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def _options(
    controller: Annotated[
        str | None, typer.Option(help="https://host:port of the controller; that of a demo here needs no more.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Certificate of the operator or auditor, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    ca: Annotated[list[Path] | None, typer.Option(help="CA of the controller, PEM; several times for several.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="A demo's state directory, instead of these four; not needed if one demo runs.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=300, help="Seconds.")] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")] = False,
) -> Session:
    """The session that the options of a command describe."""
    named = {"--controller": controller, "--cert": cert, "--key": key, "--ca": ca}
    missing = [option for option, value in named.items() if not value]
    if len(missing) == len(named):
        return Session(find_access(state), timeout, as_json=as_json)
    if state is not None:
        raise typer.BadParameter(f"--state stands instead of {', '.join(named)}")
    if controller and missing == ["--cert", "--key", "--ca"]:
        return Session(find_access(None, controller), timeout, as_json=as_json)
    if missing:
        raise typer.BadParameter(f"{', '.join(missing)}: missing; the four belong together")
    access = Access(url=str(controller), certificate=str(cert), private_key=str(key), ca=[str(one) for one in ca or ()])
    return Session(access, timeout, as_json=as_json)


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first argument is a session, made from options that come after its own.

    Errors of ours become one line on stderr and exit code 1.
    """
    common = inspect.signature(_options).parameters

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401  # as typer gives them
        try:
            session = _options(**{name: options.pop(name) for name in common})
            command(session, *arguments, **options)
        except QuiverError as error:
            sys.stderr.write(f"quiver: {error.message}\n")
            raise typer.Exit(1) from None

    own = list(inspect.signature(command).parameters.values())[1:]
    everything = [*own, *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in common.values())]
    # typer reads both of these to know what a command takes.
    run.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in everything}
    del run.__wrapped__  # else typer would look at the command without them
    return run
