"""Azure Resource Manager over azure-core's pipeline: requests and their answers, lists page by page, typed rows.

What goes wrong is SourceFailed, with the facts: status, Azure's code, what was asked. Operations that go on after the
answer are followed in `operations`. Importing this imports azure-core; whoever can do without does so lazily.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import PipelineRequest, policies
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse

from unipam.clients.azure.pace import Pace, Time, seconds
from unipam.clients.azure.settings import Settings
from unipam.model.errors import SourceFailed

T = TypeVar("T")

CONNECT, READ = 10.0, 90.0
"""Seconds to wait for a connection, and for each part of an answer; the Resource Manager itself gives up after 60."""
REPEATS = 5
MOST_PAGES = 10_000
"""A bound against a list that never ends: ten million rows."""
DONE = (200,)
FOREIGN = "ForeignLink"
"""The code of a link to another host, which was not followed."""


class Answer(NamedTuple):
    """What Azure answered: status, body, headers, and `asked`, the method and path that it answers."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    asked: str

    @property
    def etag(self) -> str:
        """Return the resource's ETag, for `match` of a later request; empty where the service has none."""
        return self.headers.get("ETag", "")

    def read(self, into: type[T]) -> T:
        """Return the body as rows of this type. Raises SourceFailed."""
        return decoded(self.body, self.asked, lambda raw: msgspec.json.decode(raw, type=into))


class _Page(msgspec.Struct, rename="camel"):
    value: msgspec.Raw = msgspec.Raw(b"[]")
    next_link: str | None = None


def _transport(settings: Settings, clock: Time) -> Any:
    """Return a transport whose pauses are those of the clock it was given."""
    verify = settings.ca_file or True
    transport = RequestsTransport(connection_timeout=CONNECT, read_timeout=READ, connection_verify=verify)
    transport.sleep = clock.sleep
    return transport


class _Fence(policies.SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Stands last: sends no request that may not be sent any more, however long it waited for its turn and token."""

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        may = request.context.options.pop("may", None)
        if may is not None and not may():
            asked = f"{request.http_request.method} {urlsplit(request.http_request.url).path}"
            raise SourceFailed(f"{asked}: this process leads no more", source="azure", code="Canceled", asked=asked)


class Arm:
    """The Resource Manager, as one caller. May be used from several threads."""

    def __init__(self, settings: Settings, credential: TokenCredential, clock: Time | None = None) -> None:
        clock = clock or Time()
        self._endpoint = settings.checked().arm
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            self._endpoint,
            transport=_transport(settings, clock),
            policies=[
                policies.RequestIdPolicy(),
                policies.UserAgentPolicy(base_user_agent="unipam"),
                policies.RetryPolicy(retry_total=2 * REPEATS, retry_status=REPEATS),
                Pace(clock),
                policies.BearerTokenCredentialPolicy(credential, settings.scope),
                _Fence(),
            ],
        )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def request(  # noqa: PLR0913 (keywords, each a matter of its own)
        self,
        method: str,
        path: str,
        version: str,
        *,
        body: Mapping[str, Any] | None = None,
        match: str = "",
        expect: Collection[int] = DONE,
        repeat: bool | None = None,
        may: Callable[[], bool] | None = None,
    ) -> Answer:
        """Ask once, and return the answer if its status is one of those expected.

        `match` is the ETag that the resource must still have. What failed on the way is asked again only where that
        cannot do harm: for a GET, for others where `repeat` says so; never where it says no. `may` is asked last, when
        all that a request waits for is over, whether it may be sent still. Raises SourceFailed.
        """
        headers = {"If-Match": match} if match else {}
        request = HttpRequest(method, self._url(path), params={"api-version": version}, headers=headers, json=body)
        return self._ask(request, expect, repeat=method == "GET" if repeat is None else repeat, may=may)

    def get(self, path: str, version: str, into: type[T]) -> T:
        """Return one resource. Raises SourceFailed."""
        return self.request("GET", path, version).read(into)

    def ask(self, path: str, version: str, body: Mapping[str, Any], into: type[T]) -> T:
        """Return the answer to a POST that changes nothing and may be repeated. Raises SourceFailed."""
        return self.request("POST", path, version, body=body, repeat=True).read(into)

    def follow(self, link: str, expect: Collection[int] = DONE, *, repeat: bool = True) -> Answer:
        """Return what an absolute link that Azure gave leads to. Raises SourceFailed, also for another host's."""
        return self._ask(HttpRequest("GET", self._here(link)), expect, repeat=repeat)

    def every(self, path: str, version: str, rows: type[list[T]]) -> list[T]:
        """Return every row of every page. Raises SourceFailed."""
        page = self.get(path, version, _Page)
        found = self._rows(page, path, rows)
        for _ in range(MOST_PAGES):
            if not page.next_link:
                return found
            page = self.follow(page.next_link).read(_Page)
            found += self._rows(page, path, rows)
        raise SourceFailed(f"the list {path} does not end after {MOST_PAGES} pages", source="azure", asked=path)

    def _rows(self, page: _Page, path: str, rows: type[list[T]]) -> list[T]:
        return decoded(page.value, path, lambda raw: msgspec.json.decode(raw, type=rows))

    def _url(self, path: str) -> str:
        return self._endpoint + quote(path if path.startswith("/") else f"/{path}", safe="/(){}._-~!$&'*+,;=:@")

    def _here(self, link: str) -> str:
        """Return the link to a further page, which must lead to where the first came from: the token goes along."""
        if urlsplit(link)[:2] != urlsplit(self._endpoint)[:2]:
            raise SourceFailed(
                f"Azure's list goes on at {urlsplit(link).netloc or link!r}, which is not {self._endpoint}; the token"
                " is not sent there",
                source="azure",
                code=FOREIGN,
                link=link,
            )
        return link

    def _ask(
        self,
        request: HttpRequest,
        expect: Collection[int],
        *,
        repeat: bool,
        may: Callable[[], bool] | None = None,
    ) -> Answer:
        asked = f"{request.method} {urlsplit(request.url).path}"
        try:
            response = self._client.send_request(request, may=may, **_repeats(request.method, repeat))
            body = response.read()
        except (ClientAuthenticationError, OSError) as error:  # OSError: the file of a federated token
            raise SourceFailed(f"no token for Azure: {_line(error)}", source="entra", asked=asked) from error
        except AzureError as error:
            raise SourceFailed(f"Azure did not answer {asked}: {_line(error)}", source="azure", asked=asked) from error
        if response.status_code not in expect:
            raise refusal(response.status_code, response.headers, body, asked)
        return Answer(response.status_code, body, response.headers, asked)


def _repeats(method: str, repeat: bool) -> dict[str, Any]:
    """Return how often the pipeline repeats a request: never what might have been done already."""
    return {"retry_on_methods": {method}} if repeat else {"retry_total": 0}


def decoded(body: bytes | msgspec.Raw, asked: str, decode: Callable[[Any], T]) -> T:
    """Return an answer as what it should be. Raises SourceFailed."""
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SourceFailed(
            f"Azure's answer to {asked} is not what it should be: {error}", source="azure", asked=asked
        ) from error


def refusal(status: int, headers: Mapping[str, str], body: bytes, asked: str) -> SourceFailed:
    """Return what an unexpected status means. Facts: status, code, asked, request; retry_after where it was said."""
    code, message = _error(body)
    facts: dict[str, Any] = {"source": "azure", "status": status, "code": code, "asked": asked}
    facts["request"] = headers.get("x-ms-request-id", "")
    if status in {409, 429, 503} and (pause := seconds(headers.get("Retry-After", ""))) is not None:
        facts["retry_after"] = pause
    return SourceFailed(f"Azure refused {asked}: {status} {code}: {message}".rstrip(": "), **facts)


def _error(body: bytes) -> tuple[str, str]:
    """Return code and message of an error body: wrapped, bare, or no JSON (fixtures' README, "Error bodies")."""
    try:
        read = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", " ".join(body[:200].decode("utf-8", "replace").split())
    inner = read.get("error", read)
    if not isinstance(inner, dict):
        return str(inner), str(read.get("error_description", ""))
    return str(inner.get("code", "")), str(inner.get("message", ""))


def _line(error: Exception) -> str:
    """Return the first line of an SDK's error, which otherwise goes on with advice on troubleshooting."""
    return str(error).strip().partition("\n")[0]
