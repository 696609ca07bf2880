"""The facts that a claim and its journal entries keep as JSON: read whole, and the part that tells whose it was."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class LeaseFacts(msgspec.Struct, omit_defaults=True):
    """What an entry tells of a lease's owner, so that the past can be asked by name when the claim has gone.

    `pod` is its namespace and name, "" where none is known. `until` is when the cooldown ends that the entry begins
    (epoch seconds).
    """

    until: float | None = None
    pod: str = ""


_read = msgspec.json.Decoder(LeaseFacts).decode
_write = msgspec.json.Encoder().encode


def write(facts: Mapping[str, object]) -> str:
    """Return facts as the `details` of a claim; what is not UTF-8 in them is replaced."""
    return _write(facts).decode("utf-8", "replace")


def read(details: str) -> dict[str, object]:
    """Return the facts in `details`; {} when they cannot be read."""
    try:
        found = msgspec.json.decode(details) if details else {}
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def read_lease(details: str) -> LeaseFacts:
    """Return who the owner is, as far as `details` say; of facts of a wrong type nothing counts."""
    try:
        return _read(details) if details else LeaseFacts()
    except msgspec.DecodeError:
        return LeaseFacts()


def passed_on(details: str, until: float | None = None) -> str:
    """Return what an entry about a claim with these `details` keeps of them; "" when there is nothing to keep."""
    lease = read_lease(details)
    if until is None and not lease.pod:
        return ""
    lease.until = until
    return _write(lease).decode()
