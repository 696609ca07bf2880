"""One call, one answer: the CNI protocol around a plugin. Nothing raised here is left to chance.

The order of what is checked is the reference's (spec cni-and-host-local §1.3); the network's own configuration comes
last, and is the plugin's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, cast

import msgspec

from unipam.cni import protocol
from unipam.cni.call import UNREAD, Answer, Call, Config, Undo
from unipam.cni.context import Context
from unipam.cni.result import Result, render, render_error
from unipam.ledger.open import WouldBlock
from unipam.model.errors import (
    BadConfig,
    BadEnvironment,
    BadInput,
    StoreBusy,
    Undecodable,
    UnipamError,
    UnsupportedVersion,
)


class Reply(NamedTuple):
    """What a verb has done: facts for the log, and of an ADD the result, unless it is to stay untold.

    `undo` takes the work back if the caller does not live to hear of it.
    """

    facts: Mapping[str, object]
    result: Result | None = None
    undo: Undo | None = None


Verb = Callable[[Call, Context], Reply]


class Joint(NamedTuple):
    """Some of the calls that came at once, by their numbers, and what answers them, or says what went wrong.

    None asks for the call by itself.
    """

    numbers: Sequence[int]
    answer: Callable[[Context], Sequence[Reply | UnipamError | None]]


Together = Callable[[Sequence[Call], Sequence[Callable[[], bool]], Context], Sequence[Joint]]
"""Plans which calls of one configuration are answered together, given who still waits (`Context.heard`) for each.

Those in no plan are answered by themselves.
"""
Codes = Mapping[type[UnipamError], int]


class Learnt(NamedTuple):
    """What a plugin's source said of a space: its pools with how many addresses each has, or what went wrong.

    `findings` are what somebody should look at.
    """

    space: str
    pools: tuple[tuple[str, int], ...] = ()
    error: str = ""
    findings: tuple[str, ...] = ()


Warm = Callable[[Context, str], list[Learnt]]
"""Asks the sources that are due of the ledger in a directory; what they said."""


class Plugin(NamedTuple):
    """What a plugin adds to the protocol: its verbs, the codes of its errors, and its words for them.

    `dated` errors name the version of the configuration, as libcni since 1.1 prints them. `warm` is for one that
    learns from outside, and `places` are the directories where its ledgers are when nobody says otherwise. With `apart`
    an ADD is told whether it is for the caller's own network namespace (`Call.own`). `render` prints a result as a
    version of the protocol has it. `together` is for one whose calls share what they wait for. `command` is for one
    that takes arguments, as a program of people's; its exit code. A `remote` one has its truth elsewhere: asking takes
    as long as it takes, and its launchers are told that an agent is at it.
    """

    name: str
    codes: Codes
    word: Callable[[UnipamError], str]
    verbs: Mapping[str, Verb]
    versions: tuple[str, ...] = protocol.VERSIONS
    dated: bool = True
    apart: bool = False
    warm: Warm | None = None
    places: tuple[str, ...] = ()
    render: Callable[[Result, str], bytes] = render
    together: Together | None = None
    command: Callable[[Sequence[str]], int] | None = None
    remote: bool = False


CODES: Codes = {
    UnsupportedVersion: 1,
    BadEnvironment: 4,
    Undecodable: 6,
    BadConfig: 7,
    BadInput: 7,
    UnipamError: 999,
}
"""The codes of what the protocol itself finds wrong; a plugin has its own for what comes after."""

NOT_SERVING = 50
"""The code with which STATUS says that an ADD would not be served (spec cni-and-host-local §1.7)."""


def not_serving(error: UnipamError) -> UnipamError:
    """Return the error with which STATUS says that an ADD would not be served because of this one."""
    return type(error)(f"no address can be served: {error.message}", **{**error.facts, "code": NOT_SERVING})


def code_of(error: UnipamError, codes: Codes) -> int:
    """Return the CNI code of an error: that of its nearest class in the table, unless it brings its own."""
    if "code" in error.facts:
        return int(str(error.facts["code"]))
    return next(codes[kind] for kind in type(error).__mro__ if kind in codes)


def answer(chosen: Plugin, call: Call, context: Context) -> Answer:
    """Return what the plugin answers. Raises nothing but WouldBlock, and that only where the call may not wait."""
    try:
        return _answer(chosen, call, context)
    except WouldBlock:
        raise
    except Exception as error:  # noqa: BLE001 (a fault of ours: all that a runtime can read is still a CNI error)
        return _internal_error(error)


def together(
    chosen: Plugin, calls: Sequence[Call], heard: Sequence[Callable[[], bool]], context: Context
) -> list[tuple[Sequence[int], Callable[[Context], list[Answer | None]]]]:
    """Return which calls of one configuration, that have been read, are answered together, and how. Raises nothing.

    The others, and those whose answer is None, are answered by themselves.
    """
    if chosen.together is None:
        return []
    with suppress(Exception):  # a fault of ours, which each of them then meets, and tells, by itself
        joints = chosen.together(calls, heard, context)
        return [(joint.numbers, partial(_answers, chosen, calls, joint)) for joint in joints]
    return []


def _answers(chosen: Plugin, calls: Sequence[Call], joint: Joint, context: Context) -> list[Answer | None]:
    try:
        given = zip(joint.numbers, joint.answer(context), strict=True)
        return [None if each is None else _worded(chosen, calls[number], each) for number, each in given]
    except Exception as error:  # noqa: BLE001 (as above; what was written stays written)
        return [_internal_error(error)] * len(joint.numbers)


def _internal_error(error: Exception) -> Answer:
    import traceback

    message = f"internal error: {type(error).__name__}: {error}: please report it; the agent's log has more"
    given = _failure(UnipamError(message), CODES[UnipamError], message, UNREAD)
    return given._replace(facts={**given.facts, "traceback": "".join(traceback.format_exception(error))})


def _answer(chosen: Plugin, call: Call, context: Context) -> Answer:
    try:
        protocol.read(call, chosen.versions, apart=chosen.apart)
    except UnipamError as error:
        return _failure(error, code_of(error, CODES), error.message, call.config, dated=chosen.dated)
    verb = call.verb
    if not verb:
        return _about(chosen)
    if verb == "VERSION":
        return _version(chosen)
    try:
        return _worded(chosen, call, chosen.verbs[verb](call, context))
    except UnipamError as error:
        if isinstance(error, StoreBusy) and not context.may_wait:
            raise WouldBlock(error.message) from error
        return _worded(chosen, call, error)


def _worded(chosen: Plugin, call: Call, given: Reply | UnipamError) -> Answer:
    """Return the answer with what a verb has done, or with why not."""
    if isinstance(given, UnipamError):
        dated = chosen.dated or call.verb == "STATUS"
        return _failure(given, code_of(given, chosen.codes), chosen.word(given), call.config, dated=dated)
    facts, result, undo = given
    return Answer(0, b"" if result is None else chosen.render(result, call.config.version), b"", undo, facts)


def _failure(error: UnipamError, code: int, message: str, config: Config, *, dated: bool = True) -> Answer:
    """Return the answer that says what went wrong; `dated` with the version of the configuration.

    An error may bring an `undo` for what it has left behind. Whoever hears of the error removes that with a DEL.
    """
    message = message.encode("utf-8", "replace").decode()  # a path need not be UTF-8, JSON must
    facts: dict[str, object] = {"network": config.name, "error": error.name, "message": message}
    details = str(error.facts.get("details", ""))
    undo = cast("Undo | None", error.facts.get("undo"))
    return Answer(1, render_error(code, message, details, config.version if dated else ""), undo=undo, facts=facts)


def _about(chosen: Plugin) -> Answer:
    from importlib.metadata import version as installed  # as slow to import as all the rest together

    text = f"CNI {chosen.name} plugin unipam {installed('unipam')}\nCNI protocol versions supported: "
    return Answer(0, stderr=(text + ", ".join(chosen.versions) + "\n").encode())


def _version(chosen: Plugin) -> Answer:
    supported = {"cniVersion": chosen.versions[-1], "supportedVersions": chosen.versions}
    return Answer(0, msgspec.json.encode(supported) + b"\n")
