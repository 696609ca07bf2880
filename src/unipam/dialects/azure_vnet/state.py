"""azure-vnet-ipam's own state file: read on first contact, written for the tools and the original that read it.

Spec: azure-vnet-ipam §2.1 (format), §2.2 (its lock). The bytes are those of Go's `json.MarshalIndent` with tabs. The
ledger is the truth; nothing is ever read back from a file that was written here, except when a space is met anew.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, format_address, parse_address, parse_interface
from unipam.golang.decoding import parse
from unipam.ledger.change import Inheritance
from unipam.ledger.learned import Learned, LearnedPool, notes, ranges
from unipam.model.errors import StoreBroken, StoreBusy, Undecodable
from unipam.model.records import HELD, LEASE, Claim, Owner

UNKNOWN = "unknown"
"""Whose an address is that is in use by nobody named (written before container ids were, spec §6)."""
_TIMEOUT = 3.0
_LARGEST = 64 << 20


class State(NamedTuple):
    """What a file says: its pools, the addresses in use with the container that has each, and who wrote it when."""

    pools: tuple[LearnedPool, ...] = ()
    holders: tuple[tuple[int, str], ...] = ()
    version: str = ""
    stamp: str = ""


def inherit(path: str, boot: int, booted: float) -> Inheritance:
    """Return what the file holds, for the ledger; nothing when there is none. Raises StoreBusy or StoreBroken.

    A file from before the machine started (`booted`, epoch seconds) tells of containers of the boot before `boot`.
    """
    try:
        with locked(path):
            state = read(path)
            written = os.stat(path).st_mtime
    except FileNotFoundError:
        return Inheritance()
    except OSError as error:
        raise StoreBroken(f"cannot read the state file {path}: {error.strerror}", path=path) from error
    of = boot - (written < booted)
    claims = tuple(Claim(0, a, a, LEASE, Owner(who), HELD, written, boot=of) for a, who in state.holders)
    return Inheritance(claims, (), path, notes=notes(Learned(boot, state.pools)))


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the original's own lock, waited for briefly, if there is one: no original is in the middle of a change."""
    directory, name = os.path.split(path)
    lock = f"{directory}/azure-vnet/{name.removesuffix('.json')}.lock"
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        _take(descriptor, lock)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, lock: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise StoreBusy(
                    f"azure-vnet-ipam's lock {lock} is held by process {_holder(lock)}: try again", path=lock
                ) from error
        time.sleep(0.02)


def _holder(lock: str) -> str:
    with contextlib.suppress(OSError), open(lock, encoding="ascii", errors="replace") as file:
        return file.read(32).strip() or "unknown"
    return "unknown"


def read(path: str) -> State:
    """Return what the file says; nothing when it is empty, as the original takes it. Raises OSError or StoreBroken."""
    with open(path, "rb") as file:
        content = file.read(_LARGEST)
    if not content:
        return State()
    try:
        return _state(_object(parse(content), "the document"))
    except (Undecodable, ValueError) as error:
        raise StoreBroken(
            f"Failed to start IPAM plugin, err:{error}.",
            path=path,
            code=100,
            details=f"the state file {path} cannot be read and was left as it is: mend it, or move it away to begin"
            " without the leases in it",
        ) from None


def _state(document: dict[str, Any]) -> State:
    if _value(document, "IPAM") is None:
        return State()
    root = _child(document, "IPAM")
    pools: list[LearnedPool] = []
    holders: list[tuple[int, str]] = []
    for name, space in _child(root, "AddressSpaces").items():
        for pool in _child(_object(space, f"AddressSpaces.{name}"), "Pools").values():
            read_pool, held = _pool(_object(pool, "Pools"))
            pools.append(read_pool)
            holders += held
    return State(
        tuple(sorted(pools, key=lambda pool: pool.network)), tuple(sorted(holders)),
        _text(root, "Version"), _text(root, "TimeStamp"),
    )  # fmt: skip


def _pool(found: dict[str, Any]) -> tuple[LearnedPool, list[tuple[int, str]]]:
    subnet = _child(found, "Subnet")
    network = _network(_text(subnet, "IP"), _text(subnet, "Mask"))
    records = [_object(record, "Addresses") for record in _child(found, "Addresses").values()]
    addresses = {a: r for r in records if network.first <= (a := parse_address(_text(r, "Addr"))) <= network.last}
    held = [(a, _text(r, "ID") or UNKNOWN) for a, r in addresses.items() if _value(r, "InUse") is True]
    gateway = _text(found, "Gateway")
    pool = LearnedPool(
        network,
        parse_address(gateway) if gateway else None,
        _text(found, "IfName"),
        _number(found, "Priority"),
        ranges(addresses),
        _number(found, "RefCount") > 0,
    )
    return pool, held


def _network(address: str, mask: str) -> Prefix:
    bits = base64.b64decode(mask, validate=True)
    length = sum(byte.bit_count() for byte in bits)
    return parse_interface(f"{address}/{length}")[1]


def _value(found: dict[str, Any], name: str) -> Any:
    """Return a member, whatever the case of its name, as Go reads it."""
    return found[name] if name in found else next((v for k, v in found.items() if k.lower() == name.lower()), None)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a JSON object")
    return value


def _child(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = _value(found, name)
    return {} if value is None else _object(value, name)


def _text(found: dict[str, Any], name: str) -> str:
    value = _value(found, name)
    if not isinstance(value, str | None):
        raise ValueError(f"{name} is not a string")
    return value or ""


def _number(found: dict[str, Any], name: str) -> int:
    value = _value(found, name)
    if not isinstance(value, int | None):
        raise ValueError(f"{name} is not a number")
    return value or 0


def render(pools: Sequence[LearnedPool], holders: dict[int, str], version: str, stamp: str) -> str:
    """Return the file's text. Addresses of `holders` that vanished from their pool stay in it while they are held."""
    import json  # slow to import, and seldom needed

    named = {pool.name: _shown(pool, holders) for pool in pools}
    space = {"Id": "local", "Scope": 0, "Pools": dict(sorted(named.items()))}
    document = {"IPAM": {"Version": version, "TimeStamp": stamp, "AddressSpaces": {"local": space}}}
    return json.dumps(document, indent="\t", ensure_ascii=False)


def _shown(pool: LearnedPool, holders: dict[int, str]) -> dict[str, object]:
    places = {a for r in pool.addresses for a in range(r.first, r.last + 1)}
    places |= {a for a in holders if pool.network.first <= a <= pool.network.last}
    records = {format_address(a): _record(a, holders) for a in places}
    return {
        "Id": pool.name,
        "IfName": pool.interface,
        "Subnet": {"IP": format_address(pool.network.first), "Mask": _mask(pool.network)},
        "Gateway": "" if pool.gateway is None else format_address(pool.gateway),
        "Addresses": dict(sorted(records.items())),
        "IsIPv6": pool.network.family == 6,
        "Priority": pool.priority,
        "RefCount": int(pool.reserved),
    }


def _record(address: int, holders: dict[int, str]) -> dict[str, object]:
    holder = holders.get(address)
    known = "" if holder in {None, UNKNOWN} else holder
    return {"ID": known, "Addr": format_address(address), "InUse": holder is not None}


def _mask(network: Prefix) -> str:
    width = 32 if network.family == 4 else 128
    mask = ((1 << width) - 1) ^ ((1 << (width - network.bits)) - 1)
    return base64.b64encode(mask.to_bytes(width // 8, "big")).decode()


def stamp(nanoseconds: int) -> str:
    """Return a time since the epoch as Go writes it: RFC 3339, local zone, the fraction without its last zeros."""
    local = time.localtime(nanoseconds // 1_000_000_000)
    fraction = f".{nanoseconds % 1_000_000_000:09d}".rstrip("0").rstrip(".")
    minutes = local.tm_gmtoff // 60
    zone = f"{'+' if minutes >= 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + fraction + zone


def write(path: str, text: Callable[[], str], lock: str) -> None:
    """Put the file in place, whole. Raises OSError.

    `text` is asked for under `lock`, so that of two writers the later one has the later state.
    """
    with open(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        draft = f"{path}{os.getpid()}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(text().encode("utf-8", "surrogateescape"))
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
            raise
