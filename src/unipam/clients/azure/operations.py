"""Long-running operations of Azure: an answer says that work has begun, and where to ask how it goes.

Three ways: `Azure-AsyncOperation` (a document with a status), `Location` (202 until it is done), and a
`provisioningState` in the resource itself. Source: the ARM fixtures' README, "Long-running operations".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from unipam.clients.azure.arm import Answer, Arm
from unipam.clients.azure.pace import Time, seconds
from unipam.model.errors import SourceFailed

UNTOLD = 10.0
"""Seconds between two looks where Azure does not say how many."""
TIMEOUT = 1800.0
"""Seconds after which nobody waits for an operation any more; it may still end well."""

_SUCCEEDED, _ENDED = "Succeeded", frozenset({"Succeeded", "Failed", "Canceled"})


class _Status(NamedTuple):
    ended: bool
    code: str = ""
    message: str = ""


class _Properties(msgspec.Struct, rename="camel"):
    provisioning_state: str = _SUCCEEDED


class _Document(msgspec.Struct):
    """A document about an operation, or the resource itself."""

    status: str = ""
    error: dict[str, Any] | None = None
    properties: _Properties | None = None


_Look = Callable[[], tuple[Answer, _Status]]


def await_end(arm: Arm, begun: Answer, resource: Callable[[], Answer], clock: Time, timeout: float = TIMEOUT) -> None:
    """Wait until the operation that `begun` names has succeeded; one that is over already is not waited for.

    `resource` reads the resource itself, for operations that are followed nowhere else. Raises SourceFailed, with the
    operation's own code, when it failed, was cancelled, or has not ended after `timeout` seconds.
    """
    look, until = _way_to_look(arm, begun, resource), clock.monotonic() + timeout
    answer, status = begun, _first(begun)
    while not status.ended:
        pause = seconds(answer.headers.get("Retry-After", "")) or UNTOLD
        if clock.monotonic() + pause > until:
            raise _failure(begun, "OperationTimeout", f"it has not ended after {timeout:.0f} s")
        clock.sleep(pause)
        answer, status = look()
    if status.code:
        raise _failure(begun, status.code, status.message)


def _first(begun: Answer) -> _Status:
    followed = {"Azure-AsyncOperation", "Location"} & set(begun.headers)
    return _Status(ended=False) if followed or begun.status == 202 else _of_resource(begun)


def _way_to_look(arm: Arm, begun: Answer, resource: Callable[[], Answer]) -> _Look:
    operation, location = begun.headers.get("Azure-AsyncOperation", ""), begun.headers.get("Location", "")
    if operation:
        return lambda: _judged(arm.follow(operation), _of_operation)
    if location:
        return lambda: _judged(arm.follow(location, {200, 201, 202, 204}), _of_location)
    return lambda: _judged(resource(), _of_resource)


def _judged(answer: Answer, judge: Callable[[Answer], _Status]) -> tuple[Answer, _Status]:
    return answer, judge(answer)


def _of_operation(answer: Answer) -> _Status:
    document = answer.read(_Document)
    return _ended(document.status, document.error)


def _of_location(answer: Answer) -> _Status:
    return _Status(ended=answer.status != 202)


def _of_resource(answer: Answer) -> _Status:
    properties = (answer.read(_Document) if answer.body else _Document()).properties
    return _ended((properties or _Properties()).provisioning_state)


def _ended(state: str, error: dict[str, Any] | None = None) -> _Status:
    if state == _SUCCEEDED or state not in _ENDED:
        return _Status(state in _ENDED)
    told = error or {}
    return _Status(True, str(told.get("code") or state), str(told.get("message") or ""))


def _failure(begun: Answer, code: str, message: str) -> SourceFailed:
    text = f"Azure began {begun.asked}, and it ended badly: {code}: {message}".rstrip(": ")
    return SourceFailed(text, source="azure", code=code, asked=begun.asked)
