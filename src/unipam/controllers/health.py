"""What is asked of the process: whether it lives, whether it is ready, its metrics, and what waits for Azure."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

from unipam.model.errors import BadInput

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_TIMEOUT = 5.0
"""Seconds for which one who connects may say nothing."""


class State(NamedTuple):
    """How the process is: what is wrong (empty: nothing), and whether it leads."""

    problem: str
    leading: bool


class Health:
    """Answers /healthz, /readyz, /metrics and /waiting at HOST:PORT in threads of its own, until it is closed."""

    def __init__(
        self,
        address: str,
        state: Callable[[], State],
        metrics: Callable[[], Iterable[Metric]],
        waiting: Callable[[], list[dict[str, object]]] = list,
    ) -> None:
        """Listen. Raises BadInput when that cannot be."""
        host, _, port = address.rpartition(":")
        try:
            found = socket.getaddrinfo(
                host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            kind = type("Server", (_Server,), {"address_family": found[0][0]})
            self._server = kind(found[0][4][:2], _handler(state, metrics, waiting))
        except (OSError, ValueError, OverflowError) as error:
            problem = f"cannot listen at {address}: {error}: choose another --listen HOST:PORT, or '' for none"
            raise BadInput(problem) from None
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """Ignore who asked and has gone, or says nothing."""


def _handler(
    state: Callable[[], State],
    metrics: Callable[[], Iterable[Metric]],
    waiting: Callable[[], list[dict[str, object]]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._send(200, _exposition(metrics), "text/plain; version=0.0.4; charset=utf-8")
            elif path in {"/healthz", "/readyz"}:
                found = state()
                said = found.problem or ("leading" if found.leading else "standing by")
                unready = found.problem and path == "/readyz"  # to begin anew would not bring an API server back
                self._send(503 if unready else 200, f"{said}\n".encode(), "text/plain; charset=utf-8")
            elif path == "/waiting":
                self._send(200, json.dumps({"items": waiting()}, default=str).encode(), "application/json")
            else:
                self._send(404, b"ask for /healthz, /readyz, /metrics or /waiting\n", "text/plain; charset=utf-8")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log no requests."""

    return Handler


def _exposition(metrics: Callable[[], Iterable[Metric]]) -> bytes:
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    class Collector:
        def collect(self) -> Iterator[Metric]:
            yield from metrics()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)
