"""Asking politely: few requests at once, no faster than the service allows, and no waiting for longer than is sensible.

A policy of azure-core's pipeline that stands behind the one that repeats requests: it sees every attempt, so what it
learns from one answer (the quota is used up; come back in so many seconds) holds back all others too.
Sources: the ARM fixtures' README, "ARM rate limits" and "Resource Graph".
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy

from unipam.model.errors import SourceFailed

AT_ONCE = 4
"""Requests on their way at one time."""
LONGEST_PAUSE = 120.0
"""The longest pause, in seconds, that is waited for; whoever is told a longer one gives up and says so."""
UNTOLD = 10.0
"""Seconds to stay away when an answer says "too many requests", and not for how long."""
THROTTLED = (429, 503)
BUSY = frozenset(
    {
        "anotheroperationinprogress",
        "retryableerrorduetoanotheroperation",
        "retryableerror",
        "operationpreempted",
        "referencedresourcenotprovisioned",
        "conflict",
    }
)
"""Azure's codes, in lower case, for a resource that is being changed: said with a 429, too, they are no limit."""

RESETS, REMAINING, RETRY = "x-ms-user-quota-resets-after", "x-ms-user-quota-remaining", "Retry-After"


class Time(NamedTuple):
    """Clocks and waiting, so that tests need neither. `spread` is 0 to 1, for callers not to come back all at once."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[], float] = random.random


def seconds(text: str) -> float | None:
    """Read a pause as the services write it: whole or broken seconds, or `hh:mm:ss`. None: it is neither."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        return None
    if len(parts) not in (1, 3) or any(part < 0 for part in parts):
        return None
    return sum(part * unit for part, unit in zip(reversed(parts), (1, 60, 3600), strict=False))


class Pace(HTTPPolicy[Any, Any]):
    """At most `AT_ONCE` requests at a time, and none before the service is ready for the next."""

    def __init__(self, clock: Time) -> None:
        super().__init__()
        self._time = clock
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._open_at = float("-inf")

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Wait for a turn, ask, and note what the answer says of the next. Raises SourceFailed, also without asking."""
        self._wait()
        with self._turns:
            response = self.next.send(request)
        self._note(response)
        return response

    def _wait(self) -> None:
        with self._lock:
            pause = self._open_at - self._time.monotonic()
        if pause > LONGEST_PAUSE:
            raise too_long(pause)
        if pause > 0:
            self._time.sleep(pause + self._time.spread())

    def _note(self, response: PipelineResponse[Any, Any]) -> None:
        headers: MutableMapping[str, str] = response.http_response.headers
        if response.http_response.status_code in THROTTLED:
            self._hold_back(response, headers)
        elif headers.get(REMAINING, "").strip() == "0":
            self._close(seconds(headers.get(RESETS, "")) or 0.0)

    def _hold_back(self, response: PipelineResponse[Any, Any], headers: MutableMapping[str, str]) -> None:
        """Let everybody wait as long as was said, and tell the policy that repeats in the one header that it reads."""
        told = [pause for name in (RETRY, RESETS) if (pause := seconds(headers.get(name, ""))) is not None]
        if _code(response.http_response) in BUSY:  # that is between whoever asked and this one resource
            headers.update({RETRY: f"{max(told):g}"} if told else {})
            return
        pause = max(told, default=UNTOLD if response.http_response.status_code == 429 else 0.0)
        self._close(pause)
        if pause > LONGEST_PAUSE:
            raise too_long(pause)
        headers[RETRY] = f"{pause:g}"

    def _close(self, pause: float) -> None:
        with self._lock:
            self._open_at = max(self._open_at, self._time.monotonic() + pause)


def _code(response: Any) -> str:
    """Return the code of an error's body, in lower case; empty where it has none."""
    try:
        found = msgspec.json.decode(response.content, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return found.error.code.lower()


class _Error(msgspec.Struct):
    code: str = ""


class _Refusal(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def too_long(pause: float) -> SourceFailed:
    """Return the error of a pause that is longer than anybody waits. Facts: retry_after."""
    return SourceFailed(
        f"Azure wants no requests for {pause:.0f} s, which is longer than is waited for ({LONGEST_PAUSE:.0f} s)",
        source="azure",
        status=429,
        retry_after=pause,
    )
