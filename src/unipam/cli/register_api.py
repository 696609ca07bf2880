"""The commands' way to a register: over HTTP to a server, or in this process on a local database.

Both speak the native API, so that a command does the same either way. Here: connecting and asking; not here: what the
commands ask, and how they show it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import click

from unipam.cli import refusals, user
from unipam.cli.progress import detail, working
from unipam.model.errors import BadInput, Refused, Unavailable, UnipamError

if TYPE_CHECKING:
    from unipam.server.local import Application

F = TypeVar("F", bound=Callable[..., Any])

BASE = "/api/v1"
_TIMEOUT = 60.0


class Answer(NamedTuple):
    """What came back: its status and its body."""

    status: int
    body: bytes


class Transport(Protocol):
    """Sends one request of the native API."""

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Return the answer, whatever its status. Raises Unavailable when there is none."""

    def close(self) -> None:
        """Let go of what it holds."""


class Remote:
    """A server, as the bearer of a token."""

    def __init__(self, server: str, token: str, timeout: float = _TIMEOUT) -> None:
        if not server.startswith(("http://", "https://")):
            raise BadInput(f"--server: {server} must begin with https:// (or http:// on this machine)")
        self._server = server.rstrip("/")
        self._token = token
        self._timeout = timeout

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        import urllib.error  # a command on a local database needs no HTTP
        import urllib.request

        given = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(self._server + path, body, given, method=method)  # noqa: S310 (checked above)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise Unavailable(f"no answer from {self._server}: {reason}") from error

    def close(self) -> None:
        """Do nothing: nothing is held between two requests."""


class Local:
    """A database on which this process works itself, as its administrator.

    What is asked most is answered at once; for the rest the server's application is loaded, once.
    """

    def __init__(self, database: str) -> None:
        from unipam.server.direct import Direct

        self._database = database
        self._direct = Direct(database, f"os:{user.name()}")
        self._application: Application | None = None

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        reply = self._direct.send(method, path, body or b"", headers)
        if reply is None:
            given = {"content-type": "application/json", **headers}
            reply = self._loaded().send(method, path, body or b"", given)
        return Answer(*reply)

    def close(self) -> None:
        self._direct.close()
        if self._application is not None:
            self._application.close()

    def _loaded(self) -> Application:
        if self._application is None:
            from unipam.server.local import Application

            self._application = Application(self._database, f"os:{user.name()}")
        return self._application


class Api:
    """Asks a register, and turns its problems into errors."""

    def __init__(self, way: Transport) -> None:
        self._way = way

    def ask(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, object] | None = None, reason: str = ""
    ) -> Any:
        """Return the document of an answer (None: it was empty). Raises BadInput, Refused or Unavailable as it says."""
        raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Reason": reason} if reason else {}
        target = BASE + path + _query(query or {})
        begun = time.perf_counter()
        with working(f"{method} {target}"):
            answer = self._way.send(method, target, raw, headers)
        detail(f"{method} {target}: {answer.status} in {(time.perf_counter() - begun) * 1000:.0f} ms")
        document = json.loads(answer.body) if answer.body else None
        if answer.status >= 400:
            raise _error(answer.status, document)
        return document

    def close(self) -> None:
        """Let go of the register."""
        self._way.close()

    def all(self, path: str, query: Mapping[str, object] | None = None) -> list[Any]:
        """Return every item of a listing that comes in parts."""
        items: list[Any] = []
        after: object = None
        while True:
            part = self.ask("GET", path, query={**(query or {}), "limit": 1000, "after": after})
            items += part["items"]
            after = part["next"]
            if after is None:
                return items


def _query(values: Mapping[str, object]) -> str:
    given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in values.items() if v not in (None, False, "")}
    return f"?{urllib.parse.urlencode(given, doseq=True)}" if given else ""


def _error(status: int, document: Any) -> UnipamError:
    detail = refusals.text_of(document) if isinstance(document, dict) else f"HTTP status {status}"
    kind = BadInput if status in (400, 413, 422) else Unavailable if status >= 500 else Refused
    return kind(detail, document=document)


def part(name: str) -> str:
    """Return a name as part of a path. Raises BadInput when it is empty, for the path would be another thing's."""
    if not name:
        raise BadInput("an empty name names nothing")
    return urllib.parse.quote(name, safe="")


def register_options(command: F) -> F:
    """Give a command the options that name its register; it is handed over as `api`."""
    options = (
        click.option("--server", envvar="UNIPAM_SERVER", metavar="URL", help="A register's address."),
        click.option("--token", envvar="UNIPAM_TOKEN", help="The token to sign in with (better by UNIPAM_TOKEN)."),
        click.option("--token-file", envvar="UNIPAM_TOKEN_FILE", type=click.File(), help="A file with the token."),
        click.option("--database", envvar="UNIPAM_DATABASE", metavar="FILE|URL", help="A database, without a server."),
        click.option(
            "--context",
            "context_name",
            envvar="UNIPAM_CONTEXT",
            metavar="NAME",
            help="A register by its name. [default: the one of unipam context use]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Named(NamedTuple):
    """What the options say of the register: its address or its database, or a context; and the token."""

    server: str | None
    token: str | None
    token_file: Any
    database: str | None
    context_name: str | None

    def connect(self, timeout: float = _TIMEOUT) -> Api | None:
        """Connect to the register; None: none is named, and no context is in use.

        Raises UsageError when two are named, BadInput for one that is not there, NotSignedIn for a token that is over.
        """
        server, database, token = self._place()
        if database:
            from unipam.plan.open import require

            require(database)
            return Api(Local(database))
        if not server:
            return None
        text = self.token or (self.token_file.read().strip() if self.token_file else "") or token()
        if not text:
            raise click.UsageError("a server wants a token: --token-file FILE, UNIPAM_TOKEN, or unipam login")
        return Api(Remote(server, text, timeout))

    def _place(self) -> tuple[str | None, str | None, Callable[[], str]]:
        """Return address and database of the register, and how to find its token where no option says it."""
        server, database = self.server, self.database
        if (server and database) or self.context_name:
            server, database = _typed(server, "server"), _typed(database, "database")
        if (server and database) or (self.server and self.database and not (server or database or self.context_name)):
            raise click.UsageError("name one register: --server URL (or UNIPAM_SERVER), or --database FILE or URL")
        if server or database:
            return server, database, str
        from unipam.cli import contexts

        known = contexts.load()
        name = self.context_name or known.current
        if not name:
            return None, None, str
        context = known.find(name)
        return context.server, context.database, lambda: contexts.token_of(context, name)


def with_api(command: F) -> F:
    """Gives a command the register options, and in their place `api`."""
    return _with(command, required=True)


def with_api_if_named(command: F) -> F:
    """Give a command the register options, and in their place `api`: None when they name none."""
    return _with(command, required=False)


def _with(command: F, *, required: bool) -> F:
    @functools.wraps(command)
    def connected(*args: Any, **given: Any) -> Any:
        named = Named(*(given.pop(field) for field in Named._fields))
        api = named.connect()
        if api is None and not required:
            return command(*args, api=None, **given)
        if api is None:
            raise click.UsageError(
                "name a register: --server URL (or UNIPAM_SERVER), --database FILE or URL, or unipam context add"
            )
        with contextlib.closing(api):
            return command(*args, api=api, **given)

    return register_options(connected)  # type: ignore[return-value]


def _typed(value: str | None, name: str) -> str | None:
    """Return an option's value if it was typed; where two contend, the environment's does not count."""
    source = click.get_current_context().get_parameter_source(name)
    return None if source is click.core.ParameterSource.ENVIRONMENT else value


def writing(command: F) -> F:
    """Give a command the options of every command that changes something."""
    command = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")(command)
    return click.option("--reason", default="", metavar="TEXT", help="Why; it is written into the journal.")(command)


def fitting(command: F) -> F:
    """Give a command the options for where in the free space a prefix is taken."""
    command = click.option("--smallest", is_flag=True, help="Out of the smallest hole.")(command)
    return click.option("--reverse", is_flag=True, help="From the end.")(command)


def searching(command: F) -> F:
    """Give a command the options for what to look for in the free space."""
    command = click.option("--count", type=int, default=1, show_default=True, help="How many.")(fitting(command))
    return length_option(required=True)(command)


def length_option(*, required: bool = False, more: str = "") -> Callable[[F], F]:
    """Return the option for how long a prefix is to be."""
    return click.option(
        "--length",
        "--size",
        "size",
        type=int,
        metavar="BITS",
        required=required,
        help=f"The prefix length, not a number of addresses: 22 is a /22, with 1024 addresses of IPv4{more}.",
    )
