"""Long-running operations of Azure: an answer says that work has begun, and where to ask how it goes.

Three ways: `Azure-AsyncOperation` (a document with a status), `Location` (202 until it is done), and a
`provisioningState` in the resource itself. Source: the ARM fixtures' README, "Long-running operations".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from unipam.clients.azure.arm import FOREIGN, Answer
from unipam.clients.azure.pace import seconds
from unipam.clients.azure.write.jobs import Ask, Job, Pause
from unipam.clients.azure.write.verdicts import Kind, judge
from unipam.model.errors import SourceFailed

FIRST, LONGEST, GROWTH = 1.0, 10.0, 1.25
"""Seconds between looks where Azure does not say how many: each pause a quarter longer than the one before."""
BUSY_GROWTH, BUSY_LONGEST = 2.0, 60.0
"""The same for a write that another operation stands in the way of, where nothing tells how that goes: each look is a
write that costs a token."""
TIMEOUT = 1800.0
"""Seconds after which nobody waits for an operation any more; it may still end well."""

_SUCCEEDED, _ENDED = "succeeded", frozenset({"succeeded", "failed", "canceled"})


class _Status(NamedTuple):
    ended: bool
    code: str = ""
    message: str = ""


class _Properties(msgspec.Struct, rename="camel"):
    provisioning_state: str = "Succeeded"


class _Document(msgspec.Struct):
    """A document about an operation, or the resource itself."""

    status: str = ""
    error: dict[str, Any] | None = None
    properties: _Properties | None = None


def until_ended(begun: Answer, resource: Ask, timeout: float = TIMEOUT) -> Job[None]:
    """Wait until the operation that `begun` names has succeeded; one that is over already is not waited for.

    `resource` reads the resource itself, for operations that are followed nowhere else, or at another host, to which no
    token is sent. Raises SourceFailed, with the operation's own code, when it failed, was cancelled, or has not ended
    after `timeout` seconds.
    """
    look, judged = _way_to_look(begun, resource)
    status, said, untold, waited = _first(begun), begun, FIRST, 0.0
    while not status.ended:
        pause, untold = _pause(said, untold)
        waited += pause
        if waited > timeout:
            raise _failure(begun, "OperationTimeout", f"it has not ended after {timeout:.0f} s")
        yield Pause(pause, f"{begun.asked} is under way")
        try:
            said = yield look
        except SourceFailed as error:  # the look failed, not the operation, unless nobody knows of it any more
            if error.facts.get("code") == FOREIGN:
                look, judged = _at(resource)
            elif judge(error).kind is not Kind.PASSING:
                raise
            said = said._replace(headers={})
        else:
            status = judged(said)
    if status.code:
        raise _failure(begun, status.code, status.message)


def _pause(said: Answer, untold: float) -> tuple[float, float]:
    """Return the seconds until the next look, and what to take where Azure does not say it again."""
    told = seconds(said.headers.get("Retry-After", ""))
    return (told, untold) if told is not None else (untold, min(untold * GROWTH, LONGEST))


def _first(begun: Answer) -> _Status:
    followed = {"Azure-AsyncOperation", "Location"} & set(begun.headers)
    return _Status(ended=False) if followed or begun.status == 202 else _of_resource(begun)


def _way_to_look(begun: Answer, resource: Ask) -> tuple[Ask, Callable[[Answer], _Status]]:
    operation, location = begun.headers.get("Azure-AsyncOperation", ""), begun.headers.get("Location", "")
    if operation:
        return Ask(link=operation, follows=True), _of_operation
    if location:
        return Ask(link=location, expect=(200, 201, 202, 204), follows=True), _of_location
    return _at(resource)


def _at(resource: Ask) -> tuple[Ask, Callable[[Answer], _Status]]:
    return resource._replace(follows=True), _of_resource


def _of_operation(answer: Answer) -> _Status:
    document = answer.read(_Document)
    return _ended(document.status, document.error)


def _of_location(answer: Answer) -> _Status:
    return _Status(ended=answer.status != 202)


def _of_resource(answer: Answer) -> _Status:
    properties = (answer.read(_Document) if answer.body else _Document()).properties
    return _ended((properties or _Properties()).provisioning_state)


def _ended(state: str, error: dict[str, Any] | None = None) -> _Status:
    if state.lower() == _SUCCEEDED or state.lower() not in _ENDED:
        return _Status(state.lower() in _ENDED)
    told = error or {}
    return _Status(True, str(told.get("code") or state), str(told.get("message") or ""))


def _failure(begun: Answer, code: str, message: str) -> SourceFailed:
    text = f"Azure began {begun.asked}, and it ended badly: {code}: {message}".rstrip(": ")
    return SourceFailed(text, source="azure", code=code, asked=begun.asked)


def patiently(ask: Ask, timeout: float = TIMEOUT) -> Job[Answer]:
    """Ask, and wait for whatever other operation is in the way, up to `timeout` seconds. Raises SourceFailed."""
    waited, untold = 0.0, FIRST
    while True:
        try:
            return (yield ask)
        except SourceFailed as error:
            verdict = judge(error)
            pause = verdict.wait or untold
            waited, untold = waited + pause, min(untold * BUSY_GROWTH, BUSY_LONGEST)
            if verdict.kind is not Kind.BUSY or waited > timeout:
                raise
        yield Pause(pause, f"{verdict.code}: {ask} waits for the operation in progress")
        if verdict.operation:
            yield from _past(verdict.operation, ask)


def _past(link: str, ask: Ask) -> Job[None]:
    """Wait until somebody else's operation has ended, however it ends."""
    begun = Answer(202, b"", {"Azure-AsyncOperation": link}, f"what {ask} waits for")
    try:
        yield from until_ended(begun, Ask(path=ask.path, version=ask.version))
    except SourceFailed:  # it failed, or may not be read: the next try will tell
        return
