"""Where host-local and we answer differently on purpose: one named rule each, with its reason.

docs/host-local.md has a section of each name; a test holds the two together. A difference that no rule allows is a bug.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from tests.dialects.host_local.generate import Op


class Outcome(NamedTuple):
    """What a plugin answered: exit code and document (None: nothing on its standard output)."""

    exit: int
    document: Any

    @property
    def message(self) -> str:
        return str(self.document.get("msg", "")) if isinstance(self.document, dict) else ""

    @property
    def code(self) -> int:
        return int(self.document.get("code", 0)) if isinstance(self.document, dict) else 0


class Difference(NamedTuple):
    """One call that was answered in two ways, or a GC after which not the same is left (`left` in the documents).

    `old` says that theirs is plugins 1.1.1, which knows no CNI 1.1.0.
    """

    op: Op
    theirs: Outcome
    ours: Outcome
    old: bool

    @property
    def both_fail(self) -> bool:
        return self.theirs.exit == 1 and self.ours.exit == 1

    @property
    def wishes(self) -> list[Any]:
        """Everything in the call that looks like an address asked for."""
        document = self.op.document if isinstance(self.op.document, dict) else {}
        args = document.get("args")
        cni = args.get("cni") if isinstance(args, dict) else None
        found: list[Any] = []
        for pair in self.op.env.get("CNI_ARGS", "").split(";"):
            found += pair[3:].split(",") if pair.startswith("IP=") else []
        for holder in (cni, document.get("runtimeConfig")):
            ips = holder.get("ips") if isinstance(holder, dict) else None
            found += ips if isinstance(ips, list) else []
        return found


class Rule(NamedTuple):
    """A difference that is meant, from both releases of host-local or from the `old` or the `present` one only."""

    name: str
    reason: str
    allows: Callable[[Difference], bool]
    release: Literal["both", "old", "present"] = "both"

    def concerns(self, old: bool) -> bool:
        return self.release == "both" or (self.release == "old") == old


_UNMET = "failed to allocate all requested IPs: "
_WISHED = ("requested ip ", "requested IP address ", _UNMET, "duplicate allocation", "no IP addresses available")
_ENVIRONMENT = ("invalid characters in containerID", "missing containerID", "interface name ")
_UNDECODABLE = "error unmarshall network config: "
_UNPARSED, _UNLISTED = "failed to parse network config: ", "cannot read cni.dev/"


def _json_words(d: Difference) -> bool:
    messages = (d.theirs.message, d.ours.message)
    if not d.both_fail or d.theirs.code != d.ours.code:
        return False
    unreadable = d.ours.code == 6 and all(m.startswith(_UNDECODABLE) for m in messages)
    listed = d.theirs.message.startswith(_UNPARSED) and d.ours.message.startswith(_UNLISTED)
    misfits = not d.old and all(m.startswith("json: cannot unmarshal ") for m in messages)
    return unreadable or listed or misfits


def _which_wish(d: Difference) -> bool:
    messages = (d.theirs.message, d.ours.message)
    if not d.both_fail or len(d.wishes) < 2:
        return False
    if all(m.startswith(_UNMET) for m in messages):
        return len(messages[0].split()) == len(messages[1].split())
    return all(any(kind in m for kind in _WISHED) for m in messages)


def _validation_order(d: Difference) -> bool:
    messages = (d.ours.message, d.theirs.message)
    if not d.both_fail:
        return False
    environment = d.ours.code == 4 and any(m.startswith(_ENVIRONMENT) for m in messages)
    return environment or (d.ours.code == 999 and all(" not in network " in m for m in messages))


def _gc_without_list(d: Difference) -> bool:
    keys = [key.casefold() for key in d.op.document] if isinstance(d.op.document, dict) else []
    return d.op.verb == "GC" and "cni.dev/valid-attachments" not in keys and d.theirs == Outcome(0, {"left": []})


RULES = (
    Rule(
        "json-words", "the parser's words for what is not JSON, or not of the type, are not ours to copy", _json_words
    ),
    Rule(
        "which-wish",
        "which of several requested addresses is named depends on a hash there; here the order",
        _which_wish,
    ),
    Rule(
        "validation-order",
        "plugins 1.1.1 looks at the configuration before container id and interface; and of a range whose end is of the"
        " other family it names the start",
        _validation_order,
        "old",
    ),
    Rule(
        "newer-version",
        "CNI 1.1.0 is spoken here; plugins 1.1.1 ends at 1.0.0",
        lambda d: d.both_fail and d.theirs.message.startswith("plugin version does not allow"),
        "old",
    ),
    Rule(
        "routes-whole",
        "plugins 1.1.1 drops mtu, advmss, priority, table and scope of a route unread",
        lambda d: "ipam.routes of type int" in d.ours.message,
        "old",
    ),
    Rule(
        "route-without-dst",
        "a route to nowhere is printed as <nil> there, which no consumer can read",
        lambda d: d.ours.message == "invalid route: dst is missing",
    ),
    Rule(
        "comma-list",
        "IP=a,b is what multus sends",
        lambda d: "," in d.op.env.get("CNI_ARGS", "") and "invalid IP address" in d.theirs.message,
    ),
    Rule(
        "bottom-of-space",
        "plugins 1.1.1 loses the leading zero bytes of addresses in 0.0.0.0/8 and ::/8",
        lambda d: any(subnet in d.op.stdin for subnet in (b'"0.0.0.0/', b'"::/')),
        "old",
    ),
    Rule(
        "panics",
        "where host-local dies of a null address asked for, it is refused here",
        lambda d: (
            d.theirs == Outcome(2, None)
            and (d.op.verb == "DEL" or d.ours.message == "cannot understand ip: IP <nil> not v4 nor v6")
        ),
    ),
    Rule(
        "D3",
        "a second ADD is refused, also when it asks for an address",
        lambda d: d.op.verb == "ADD" and "duplicate allocation" in d.ours.message and bool(d.wishes),
    ),
    Rule(
        "D9",
        "a reversed range would hand out other people's addresses",
        lambda d: "is after RangeEnd" in d.ours.message,
        "old",
    ),
    Rule(
        "D10",
        "a container is its id, not a file name",
        lambda d: (
            d.op.verb == "CHECK" and (d.theirs.exit, d.ours.exit) == (0, 1) and d.op.owner[0].startswith("10.1.2.")
        ),
    ),
    Rule(
        "D13",
        "a DEL releases whatever the configuration looks like by now",
        lambda d: d.op.verb == "DEL" and (d.theirs.exit, d.ours.exit) == (1, 0) and d.theirs.code == 999,
    ),
    Rule(
        "check-reads-prevResult",
        "CNI asks CHECK to verify prevResult",
        lambda d: d.op.verb == "CHECK" and d.ours.exit == 1 and not d.op.honest,
    ),
    Rule(
        "gateway-outside",
        "a gateway outside its subnet is refused, as the present release does",
        lambda d: re.search("gateway .* not in network ", d.ours.message) is not None,
        "old",
    ),
    Rule(
        "gc-without-list",
        "without cni.dev/valid-attachments the present release frees all, also when the list has its former name",
        _gc_without_list,
        "present",
    ),
    Rule(
        "gc-half-named",
        "an attachment without container id or interface spares nobody there; here the list is refused",
        lambda d: d.op.verb == "GC" and d.theirs.exit == 0 and d.ours.message.startswith(_UNLISTED),
        "present",
    ),
    Rule(
        "gc-reads-less",
        "a GC is not refused for fields that it has no use for, such as dns or capabilities",
        lambda d: d.op.verb == "GC" and d.ours.exit == 0 and d.theirs.message.startswith(_UNPARSED),
        "present",
    ),
)

LEVELLED = (
    ("failed-add", "a failed ADD changes nothing here, not even the cursor (D1, D6, D7)"),
    ("dns-omitted", "an empty dns is left out from 1.0.0 on, as the present release does"),
    ("error-version", "errors carry cniVersion, as CNI says"),
    ("full-pool", "who finds a pool full is told what fills it, in details"),
)
"""Differences that are taken out of the answers, or out of the peer's state, before these are compared."""
