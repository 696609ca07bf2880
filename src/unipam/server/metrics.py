"""What a register tells Prometheus. One registry for each register, so that several may live in one process."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from unipam.plan.forecast import VERDICTS, Forecast
from unipam.store.turnover import DAY

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def resident() -> int:
    """Return the process's memory that is really there, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


class Metrics:
    """Requests, refusals, and how full the plan is."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        labels = ("method", "route", "status")
        self.requests = Counter("unipam_register_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "unipam_register_request_seconds", "Time to an answer.", ("method", "route"), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.up = Gauge("unipam_register_up", "Whether the database answers.", registry=self.registry)
        self.waiting = Gauge("unipam_register_waiting_writes", "Writes that wait.", registry=self.registry)
        self.objects = Gauge("unipam_register_objects", "Objects in the plan.", ("kind",), registry=self.registry)
        self.memory = Gauge("unipam_register_resident_bytes", "Memory in use.", registry=self.registry)
        self.cloud_age = Gauge(
            "unipam_register_cloud_age_seconds", "Age of what is known of the cloud (-1: nothing).",
            registry=self.registry,
        )  # fmt: skip
        self.blocks = Gauge(
            "unipam_register_blocks", "Blocks by what is foretold of them.", ("forecast",), registry=self.registry
        )
        self.days = Gauge(
            "unipam_register_days_until_full", "Days until the first block is full (+Inf: not within a year).",
            ("quantile",), registry=self.registry,
        )  # fmt: skip

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = (method, route, status)
        if key not in self._known:
            self._known[key] = (self.requests.labels(*key), self.seconds.labels(method, route))
        count, time = self._known[key]
        count.inc()
        time.observe(seconds)

    def count(self, objects: Mapping[str, int] | None) -> None:
        """Set how many objects of each kind there are; None: the database does not answer, so nobody knows."""
        self.up.set(objects is not None)
        for gauge in (self.objects, self.blocks, self.days):
            gauge.clear()
        for kind, number in (objects or {}).items():
            self.objects.labels(kind).set(number)

    def foretell(self, rows: Sequence[Forecast], now: float) -> None:
        """Set what is foretold of all blocks. None is named: whoever scrapes need not sign in."""
        for verdict in VERDICTS:
            self.blocks.labels(verdict).set(sum(row.verdict == verdict for row in rows))
        for quantile, name in (("0.1", "earliest"), ("0.5", "likely"), ("0.9", "latest")):
            moments = [at for row in rows if (at := getattr(row, name)) is not None]
            self.days.labels(quantile).set((min(moments, default=math.inf) - now) / DAY)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        self.memory.set(resident())
        return generate_latest(self.registry)
