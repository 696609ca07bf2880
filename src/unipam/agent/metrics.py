"""What Prometheus is told, and the socket at which it asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from unipam.ledger.reads import PoolUse, pools
from unipam.model.errors import BadInput, UnipamError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from unipam.agent.log import Log
    from unipam.ledger.open import Ledgers

_TIMEOUT = 5.0
"""Seconds for which one who connects may say nothing."""


class Pools:
    """How full the pools are, counted when Prometheus asks."""

    def __init__(self, ledgers: Callable[[], Ledgers], directories: Callable[[], Iterable[str]]) -> None:
        self._ledgers = ledgers
        self._directories = directories

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        gauge = GaugeMetricFamily(
            "unipam_pool_addresses", "Addresses of a pool by state", labels=("directory", "network", "pool", "state")
        )
        for directory in self._directories():
            label = directory.encode("utf-8", "replace").decode()  # a path need not be UTF-8, a label must
            for pool in self._pools(directory):
                for state in ("used", "cooling", "free", "reserved"):
                    gauge.add_metric((label, pool.network, str(pool.number), state), float(getattr(pool, state)))
        yield gauge

    def _pools(self, directory: str) -> list[PoolUse]:
        try:
            ledger = self._ledgers().find(directory)
            return pools(ledger) if ledger else []
        except UnipamError:
            return []


class Dropped:
    """How many lines of the log nobody will read."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def collect(self) -> Iterator[Metric]:
        """Yield the counter."""
        yield CounterMetricFamily(
            "unipam_log_lines_dropped", "Lines of the log that nobody read in time", value=self._log.dropped
        )


def serve(address: str, registry: CollectorRegistry) -> None:
    """Answer at HOST:PORT, in a thread. Raises BadInput when that cannot be listened at.

    One question after the other: who holds a connection open then holds one of the agent's files, not all of them.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host or "127.0.0.1", int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, place = found[0][0], str(found[0][4][0])
        kind = type("Server", (_Server,), {"address_family": family})
        server: WSGIServer = make_server(place, int(port), make_wsgi_app(registry), kind, _Handler)
    except (OSError, ValueError, OverflowError) as error:
        raise BadInput(f"cannot serve metrics at {address}: {error}: choose another --metrics HOST:PORT") from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Server(WSGIServer):
    allow_reuse_port = True  # so that one agent can take over from another

    def handle_error(self, *_: object) -> None:
        """Ignore who asked and has gone, or says nothing."""


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT

    def log_message(self, *_: object) -> None:
        """Log no requests."""
