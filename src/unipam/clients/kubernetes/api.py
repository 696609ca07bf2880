"""Requests to an API server: what is tried again, and what an answer means."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import urlencode

import msgspec

from unipam.clients.inbox import Inbox
from unipam.clients.kubernetes import access
from unipam.clients.kubernetes.connection import JSON, Connections, Request, Stream, Unsent, Untrusted
from unipam.clients.kubernetes.exchange import Answer
from unipam.model.errors import Expired, SourceFailed, Unanswered, UnipamError

Object = dict[str, Any]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries of a request."""
_WATCH_SECONDS = (300, 600)
"""How long a server keeps a watch, at random, so that not all of them end at once."""
_MERGE, _MERGE_BY_KEY = "application/merge-patch+json", "application/strategic-merge-patch+json"
_BRIEF = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1, {JSON}"
"""What asks for an object's metadata in place of all of it, where the server knows that (Kubernetes 1.15)."""
_TOO_LARGE = ("request is too large", "larger than max", "entity too large")


class Refusal(Exception):
    """An answer that is an error of the request: HTTP's status, and the reason and the message of the API's Status."""

    def __init__(self, status: int, reason: str, message: str, about: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.about = status, reason, about


class WatchEnded(Exception):
    """The server has ended a watch in good order: go on with another from where it was."""


class KubernetesApi:
    """An API server. Any thread may use it; deadlines are readings of `time.monotonic()`."""

    def __init__(self, server: access.Server | str = "") -> None:
        """Use the access to a server; a text is the path of a kubeconfig. Raises BadValue."""
        self._server = access.Server(server) if isinstance(server, str) else server
        self._access = access.read(self._server)
        self._connections = Connections(self._access)
        self._lock = threading.Lock()
        self.name = f"Kubernetes at {self._access.name}"

    def get(self, path: str, deadline: float, **query: str) -> Object:
        """Read an object, or a list. Raises Refusal, SourceFailed."""
        return self._request("GET", _target(path, query), None, deadline)

    def create(self, path: str, body: Object, deadline: float, *, briefly: bool = False) -> Object:
        """Create an object; return it as it was written, or `briefly` at least its metadata.

        Raises Refusal, SourceFailed; Unanswered when it may have been made.
        """
        return self._request("POST", path, body, deadline, accept=_BRIEF if briefly else JSON)

    def replace(self, path: str, body: Object, deadline: float, *, briefly: bool = False) -> Object:
        """Replace an object; return it as `create` does. Raises as `create`."""
        return self._request("PUT", path, body, deadline, accept=_BRIEF if briefly else JSON)

    def merge(self, path: str, body: Object, deadline: float, *, by_key: bool = False) -> Object:
        """Apply a JSON merge patch to an object; return what became of it. Raises as `create`.

        With `by_key` it is one that merges lists by their entries' keys, where the resource has such lists.
        """
        return self._request("PATCH", path, body, deadline, _MERGE_BY_KEY if by_key else _MERGE)

    def delete(self, path: str, options: Object, deadline: float) -> None:
        """Remove an object, under the preconditions in these DeleteOptions. Raises as `create`."""
        self._request("DELETE", path, options, deadline)

    def watch(self, path: str, revision: str, deadline: float, **query: str) -> Inbox[Object]:
        """Watch the events after a revision. Raises Refusal, SourceFailed; reading it also Expired and WatchEnded."""
        seconds = str(random.randint(*_WATCH_SECONDS))  # noqa: S311 (it only spreads load)
        query |= {"watch": "1", "resourceVersion": revision, "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        stream = self._begin(_target(path, query), deadline)
        return Inbox(self._events(stream), stream.close, self._ended)

    def close(self) -> None:
        """Let go of every connection."""
        self._connections.close()

    def _request(
        self,
        method: str,
        target: str,
        body: Object | None,
        deadline: float,
        media: str = JSON,
        accept: str = JSON,
    ) -> Object:
        encoded = None if body is None else msgspec.json.encode(body)
        request = Request(method, target, encoded, media, accept)
        pause, renewed = _FIRST_PAUSE, False
        while True:
            connections = self._connections
            try:
                answer = connections.ask(request, deadline)
            except Untrusted as error:
                raise SourceFailed(f"{self.name}: {error}", source=self.name) from error
            except Unsent as error:
                problem = str(error)
            except (OSError, http.client.HTTPException) as error:
                problem = self._unanswered(method, str(error) or type(error).__name__)
            else:
                if answer.status == 401 and not renewed and self._renew(connections):
                    renewed = True
                    continue
                if answer.status < 500 and answer.status != 429:
                    return self._read(answer, target)
                problem, pause = self._later(method, target, answer), _pause(answer, pause)
            if time.monotonic() + pause >= deadline:
                raise SourceFailed(f"{self.name}: {problem}", source=self.name)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _unanswered(self, method: str, problem: str) -> str:
        """Return the problem of what may be tried again. Raises Unanswered where it was a write."""
        if method == "GET":
            return problem
        raise Unanswered(f"{self.name}: {problem}: it may have been written", source=self.name)

    def _later(self, method: str, target: str, answer: Answer) -> str:
        """Return the problem of a server that is not able to answer now.

        A write may have been made, but where it says 429.
        """
        refusal = _refusal(answer.status, answer.body, target)
        if any(words in str(refusal) for words in _TOO_LARGE):
            raise refusal
        return str(refusal) if answer.status == 429 else self._unanswered(method, str(refusal))

    def _read(self, answer: Answer, target: str) -> Object:
        if answer.status >= 300:
            self._refuse(answer.status, answer.body, target)
        try:
            found: Object = msgspec.json.decode(answer.body)
        except ValueError as error:
            raise SourceFailed(f"{self.name}: its answer to {target} is not JSON", source=self.name) from error
        return found

    def _refuse(self, status: int, body: bytes, target: str) -> NoReturn:
        refusal = _refusal(status, body, target)
        if status in {401, 403}:
            raise SourceFailed(f"{self.name}: {refusal}", source=self.name, status=refusal.status)
        raise refusal

    def _renew(self, connections: Connections) -> bool:
        """Read the credentials again, which somebody keeps fresh; whether there are others to try with."""
        with self._lock:
            if self._connections is connections:
                fresh = access.read(self._server)
                if fresh.token == self._access.token:
                    return False
                self._access, self._connections = fresh, Connections(fresh)
                connections.close()
        return True

    def _begin(self, target: str, deadline: float) -> Stream:
        for _ in range(2):
            connections = self._connections
            try:
                stream = connections.stream(target, deadline)
                body = b"" if stream.status == 200 else stream.read()
            except (Unsent, OSError, http.client.HTTPException) as error:
                raise SourceFailed(f"{self.name}: {error or type(error).__name__}", source=self.name) from error
            if stream.status != 401 or not self._renew(connections):
                break
        if stream.status == 410:
            raise Expired(f"{self.name}: {_refusal(410, body, target)}", source=self.name)
        if stream.status >= 500 or stream.status == 429:
            raise SourceFailed(f"{self.name}: {_refusal(stream.status, body, target)}", source=self.name)
        if stream.status != 200:
            self._refuse(stream.status, body, target)
        return stream

    def _events(self, stream: Stream) -> Iterator[Object]:
        for line in stream.lines(_WATCH_SECONDS[1] + 60):
            event = msgspec.json.decode(line)
            if event["type"] == "ERROR":
                message = f"{self.name}: {event['object'].get('message', 'the watch failed')}"
                gone = event["object"].get("code") == 410
                raise (Expired if gone else SourceFailed)(message, source=self.name)
            yield event

    def _ended(self, error: Exception | None) -> Exception:
        if error is None:
            return WatchEnded(self.name)
        if isinstance(error, UnipamError):
            return error
        return SourceFailed(f"{self.name}: the watch broke off ({error or type(error).__name__})", source=self.name)


def _target(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _refusal(status: int, body: bytes, target: str) -> Refusal:
    try:
        said = msgspec.json.decode(body)
        reason, message = str(said.get("reason", "")), str(said.get("message", ""))
        about = str((said.get("details") or {}).get("name", ""))
    except (ValueError, AttributeError):
        reason, message, about = "", body[:200].decode(errors="replace").strip(), ""
    return Refusal(status, reason, message or f"HTTP {status} for {target}", about)


def _pause(answer: Answer, otherwise: float) -> float:
    """Return how long the server wants not to be asked, in seconds."""
    return float(answer.retry_after) if answer.retry_after.isdigit() else otherwise
