"""An API server on loopback that answers as it is told, for what a real one does on bad days only."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    token: str
    body: Any
    accept: str = ""


class Say(NamedTuple):
    """An answer, as JSON unless it is bytes. One whose `status` is 0 is none: the connection ends."""

    status: int
    document: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def status(code: int, reason: str, message: str, name: str = "") -> Say:
    """An answer that is an error."""
    details = {"details": {"name": name}} if name else {}
    return Say(code, {"kind": "Status", "code": code, "reason": reason, "message": message, **details})


def _encoded(document: Any) -> bytes:
    if isinstance(document, bytes):
        return document
    if isinstance(document, list):
        return b"".join(json.dumps(line).encode() + b"\n" for line in document)
    return json.dumps(document).encode()


class FakeApiServer:
    """What was asked, and what is answered: each of `answers` once, then `then` again and again."""

    def __init__(self, directory: Path, then: Callable[[Asked], Say]) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Say] = []
        self._then, self._lock = then, threading.Lock()
        self.kubeconfig = directory / "kubeconfig"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.write_kubeconfig({"token": "first"})

    def write_kubeconfig(self, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> None:
        """A kubeconfig for this server, with these credentials."""
        document = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": self.url, **(cluster or {})}}],
            "users": [{"name": "u", "user": user}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def _answer(self, asked: Asked) -> Say:
        with self._lock:
            self.asked.append(asked)
            return self.answers.pop(0) if self.answers else self._then(asked)

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (self is the handler's)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                say = fake._answer(Asked(self.command, self.path, token, body, self.headers.get("Accept", "")))
                if not say.status:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                encoded = _encoded(say.document)
                self.send_response(say.status)
                for name, value in (*say.headers, ("Content-Length", str(len(encoded)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(encoded)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """It serves until the block is left."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fake_api_server(directory: Path, then: Callable[[Asked], Say] = lambda _: Say(200, {})) -> Iterator[FakeApiServer]:
    """Runs until the block is left."""
    made = FakeApiServer(directory, then)
    with serving(made.server):
        yield made
