"""The address plan: what its objects are, how they may be named, which prefixes fit. Pure; a claim carries each object.

Spaces hold blocks; blocks hold blocks, networks, reservations and external networks; those hold subnets, and subnets
endpoints. Every one is a claim under its parent (`records.Claim`); the facts below are its `details`. Rules of names
and fitting are those of the Azure IPAM application (spec azure-ipam-application §1), without its gaps.

A `rank` is an object's place in lists in the order of making, where a replaced list gave it another one than its number
does; 0: its number is its place (`service.plan.rank`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from unipam.addr.fit import best_fit, first_fit, last_fit
from unipam.addr.prefix import BITS, Prefix, Range, line_length, parse_address, parse_interface
from unipam.model.errors import BadValue, Exhausted
from unipam.model.records import SPACE

BLOCK = "block"
RESERVATION = "reservation"
NETWORK = "network"
EXTERNAL = "external"
SUBNET = "subnet"
ENDPOINT = "endpoint"
KINDS = (SPACE, BLOCK, RESERVATION, NETWORK, EXTERNAL, SUBNET, ENDPOINT)

MISSING = "missing"
"""State of a network's claim while the network itself is not seen any more."""

WAIT = "wait"
MISMATCH = "warnCIDRMismatch"
EXISTS = "errCIDRExists"
FULFILLED = "fulfilled"
CANCELLED = "cancelledByUser"
EXPIRED = "cancelledByTimeout"

_NAME = re.compile(r"(?![._-])[A-Za-z0-9._-]{1,64}(?<![._-])")
_TEXT = re.compile(r"(?![ /._-])[A-Za-z0-9 /._-]{1,128}(?<![ /._-])")
_REMARK_LENGTH = 256


class Space(msgspec.Struct, frozen=True, tag=SPACE):
    """A set of prefixes within which nothing overlaps."""

    name: str
    desc: str


class Block(msgspec.Struct, frozen=True, tag=BLOCK, omit_defaults=True):
    """A prefix that is given to a team or a region, to be shared out further."""

    name: str
    desc: str = ""


class Reservation(msgspec.Struct, frozen=True, tag=RESERVATION, omit_defaults=True):
    """A prefix kept for a network to come. Times in seconds since the epoch.

    `created_by` is who asked, as shown; `subject` the same as an unchanging key, by which ownership goes.
    """

    id: str
    created_on: float
    created_by: str
    subject: str
    status: str = WAIT
    desc: str | None = None
    settled_on: float | None = None
    settled_by: str | None = None


class Network(msgspec.Struct, frozen=True, tag=NETWORK, omit_defaults=True):
    """One prefix of an associated network; `id` is its resource id as first written, in its own letter case."""

    id: str
    name: str
    rank: int = 0


class External(msgspec.Struct, frozen=True, tag=EXTERNAL, omit_defaults=True):
    """A network that no cloud tells of: on premises, or elsewhere."""

    name: str
    desc: str
    rank: int = 0


class Subnet(msgspec.Struct, frozen=True, tag=SUBNET):
    """A part of an external network."""

    name: str
    desc: str


class Endpoint(msgspec.Struct, frozen=True, tag=ENDPOINT, omit_defaults=True):
    """One address of an external subnet that something uses."""

    name: str
    desc: str
    rank: int = 0


Facts = Space | Block | Reservation | Network | External | Subnet | Endpoint
F = TypeVar("F", bound=Facts)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Facts)


def encode(facts: Facts) -> str:
    """Return the facts as a claim's details."""
    return _encoder.encode(facts).decode()


def decode(details: str) -> Facts:
    """Return a claim's details as facts. Raises msgspec.DecodeError on those of something that is not of the plan."""
    facts: Facts = _decoder.decode(details)
    return facts


def fold(name: str) -> str:
    """Return a name as names are compared: letter case does not count."""
    return name.lower()


def is_name(text: str) -> bool:
    """Return whether anything could have this name."""
    return _NAME.fullmatch(text) is not None


def check_name(kind: str, name: str) -> str:
    """Return the name, if it may be one. Raises BadValue with the rule in its message."""
    if not is_name(name):
        raise BadValue(
            f"{kind} name {name!r} must be 1 to 64 letters, digits, '.', '_' or '-', and neither begin nor end with"
            " '.', '_' or '-'",
            field="name",
            value=name,
            kind=kind,
        )
    return name


def check_text(kind: str, text: str) -> str:
    """Return a description, if it may be one. Raises BadValue with the rule in its message."""
    if not _TEXT.fullmatch(text):
        raise BadValue(
            f"{kind} description {text!r} must be 1 to 128 letters, digits, spaces, '/', '.', '_' or '-', and neither"
            " begin nor end with a space, '/', '.', '_' or '-'",
            field="desc",
            value=text,
            kind=kind,
        )
    return text


def check_remark(text: str | None) -> str | None:
    """Return a reservation's description: any printable text; the original checks nothing at all (spec §1.2)."""
    if text is not None and (len(text) > _REMARK_LENGTH or not text.isprintable()):
        raise BadValue(
            f"a reservation's description must be at most {_REMARK_LENGTH} printable characters on one line",
            field="desc",
            value=text[:_REMARK_LENGTH],
            kind=RESERVATION,
        )
    return text


def parse_cidr(text: str, field: str = "cidr") -> Prefix:
    """Read a prefix as people write it. Raises BadValue; with fact `suggestion` where only host bits are wrong (D4)."""
    try:
        value, prefix = parse_interface(text)
    except ValueError as error:
        raise BadValue(f"{field}: {error}; write it as 10.0.0.0/16 or 2001:db8::/48", field=field, value=text) from None
    if value != prefix.first:
        raise BadValue(
            f"{field}: {text} has host bits set; did you mean {prefix}?",
            field=field,
            value=text,
            suggestion=str(prefix),
        )
    return prefix


def parse_place(text: str, field: str = "cidr") -> Prefix:
    """Read what a question is about: a prefix, or a bare address. Raises BadValue, as `parse_cidr` does."""
    if "/" in text:
        return parse_cidr(text, field)
    try:
        return Prefix(parse_address(text), BITS)
    except ValueError:
        return parse_cidr(text, field)


def length_in(parent: Prefix, bits: int) -> int:
    """Return the length on the line of a prefix that people write with `bits` in the family of `parent`.

    Raises BadValue when no prefix of the family has that length, Exhausted when it would be larger than the parent.
    """
    most = 32 if parent.family == 4 else 128
    if not 0 <= bits <= most:
        raise BadValue(f"size: {bits} is not a prefix length from 0 to {most}", field="size", value=bits)
    if bits < parent.bits:
        raise Exhausted(f"a /{bits} is larger than {parent}", parent=str(parent), size=bits)
    return line_length(bits, parent.family)


def choose(free: Iterable[Range], length: int, *, reverse: bool = False, smallest: bool = False) -> Prefix | None:
    """Return a free prefix of `length`: the lowest; with `reverse` the highest; with `smallest` out of the least gap.

    Spec azure-ipam-application §1.5, whose golden vectors are its tests.
    """
    if smallest:
        return best_fit(free, length, reverse=reverse)
    return last_fit(free, length) if reverse else first_fit(free, length)


def why(reverse: bool, smallest: bool) -> str:
    """Return how `choose` chose, in words."""
    if smallest:
        end = "highest" if reverse else "lowest"
        return f"the {end} part of the smallest free prefix that is large enough, so that larger ones stay whole"
    return f"the {'highest' if reverse else 'lowest'} free prefix of this length"
