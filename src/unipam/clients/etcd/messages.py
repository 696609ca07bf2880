"""etcd's messages, as far as they are used. Field numbers are those of etcd's `api/etcdserverpb/rpc.proto` and
`api/mvccpb/kv.proto`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from unipam.clients.protobuf import content, field, fields, number, text

_KEY, _END = 1, 2
_COMPARE_TARGET, _COMPARE_KEY = 2, 3
_VERSION, _MOD_REVISION = 0, 2
"""What a comparison looks at. It asks for equality, which is 0 and so left out, or for more, which is 1."""
_TARGET_FIELD = {_VERSION: 4, _MOD_REVISION: 6}
_RANGE, _PUT, _DELETE = 1, 2, 3
_HEADER, _HEADER_REVISION = 1, 3


class KeyValue(NamedTuple):
    """A key with its value, and the revisions at which it was created and last changed."""

    key: bytes
    value: bytes
    created: int
    revision: int


class RangeResponse(NamedTuple):
    """What a range held at a revision of the whole store; `more` says that it held more than was asked for."""

    pairs: tuple[KeyValue, ...]
    revision: int
    more: bool = False


class TxnResponse(NamedTuple):
    """What became of a transaction: which branch was taken, at which revision, and what its reads found."""

    succeeded: bool
    revision: int
    found: tuple[RangeResponse, ...]


class Change(NamedTuple):
    """A key that was written, or removed: then its value is empty and its revision that of the removal."""

    pair: KeyValue
    removed: bool


class WatchResponse(NamedTuple):
    """One message of a watch. `compacted` is the first revision still known, where the one asked for is not."""

    changes: tuple[Change, ...]
    revision: int
    created: bool
    cancelled: str | None
    compacted: int


def range_of(key: bytes, end: bytes = b"", *, limit: int = 0, revision: int = 0, serializable: bool = False) -> bytes:
    """Encode a RangeRequest: one key, or those from `key` up to but not including `end`, now or as of a revision."""
    return field(_KEY, key) + _end(end) + field(3, limit) + field(4, revision) + field(7, int(serializable))


def present(key: bytes) -> bytes:
    """Encode a Compare: the key is there."""
    return field(1, 1) + _compare(key, _VERSION, 0)


def absent(key: bytes) -> bytes:
    """Encode a Compare: the key is not there."""
    return _compare(key, _VERSION, 0)


def unchanged(key: bytes, revision: int) -> bytes:
    """Encode a Compare: the key was last changed at this revision."""
    return _compare(key, _MOD_REVISION, revision)


def _compare(key: bytes, target: int, value: int) -> bytes:
    return field(_COMPARE_TARGET, target) + field(_COMPARE_KEY, key) + field(_TARGET_FIELD[target], value)


def get(key: bytes, end: bytes = b"") -> bytes:
    """Encode a RequestOp that reads a key, or a range of keys."""
    return field(_RANGE, range_of(key, end))


def put(key: bytes, value: bytes) -> bytes:
    """Encode a RequestOp that writes a key."""
    return field(_PUT, field(1, key) + field(2, value))


def delete(key: bytes) -> bytes:
    """Encode a RequestOp that removes a key."""
    return field(_DELETE, field(_KEY, key))


def transaction(compares: Sequence[bytes], success: Sequence[bytes], failure: Sequence[bytes]) -> bytes:
    """Encode a TxnRequest of Compares and RequestOps."""
    parts = ((1, compares), (2, success), (3, failure))
    return b"".join(field(item, part) for item, several in parts for part in several)


def watch(key: bytes, end: bytes, after: int) -> bytes:
    """Encode a WatchRequest for what happens to a range after a revision.

    Where nothing happens, the server names its revision now and then.
    """
    return field(1, field(_KEY, key) + _end(end) + field(3, after + 1) + field(4, 1))


def credentials(user: str, password: str) -> bytes:
    """Encode an AuthenticateRequest."""
    return field(1, user) + field(2, password)


def _end(end: bytes) -> bytes:
    return field(_END, end) if end else b""


def read_range(message: bytes) -> RangeResponse:
    """Read a RangeResponse. Raises ValueError when it is none, as all readers here do."""
    revision, pairs, more = 0, [], False
    for item, value in fields(message):
        if item == _HEADER:
            revision = _revision(value)
        elif item == 2:
            pairs.append(_pair(content(value)))
        elif item == 3:
            more = bool(value)
    return RangeResponse(tuple(pairs), revision, more)


def read_transaction(message: bytes) -> TxnResponse:
    """Read a TxnResponse."""
    succeeded, revision, found = False, 0, []
    for item, value in fields(message):
        if item == _HEADER:
            revision = _revision(value)
        elif item == 2:
            succeeded = bool(value)
        elif item == 3:
            found += [read_range(content(each)) for kind, each in fields(content(value)) if kind == _RANGE]
    return TxnResponse(succeeded, revision, tuple(found))


def read_watch(message: bytes) -> WatchResponse:
    """Read a WatchResponse."""
    seen: dict[int, int | bytes] = {}
    changes = []
    for item, value in fields(message):
        if item == 11:
            changes.append(_change(content(value)))
        else:
            seen[item] = value
    cancelled = text(seen.get(6, b"")) if seen.get(4) else None
    return WatchResponse(
        tuple(changes), _revision(seen.get(_HEADER, b"")), bool(seen.get(3)), cancelled, number(seen.get(5, 0))
    )


def read_token(message: bytes) -> str:
    """Read the token in an AuthenticateResponse."""
    return next((text(value) for item, value in fields(message) if item == 2), "")


def _change(message: bytes) -> Change:
    removed, pair = False, KeyValue(b"", b"", 0, 0)
    for item, value in fields(message):
        if item == 1:
            removed = bool(value)
        elif item == 2:
            pair = _pair(content(value))
    return Change(pair, removed)


def _pair(message: bytes) -> KeyValue:
    seen = dict(fields(message))
    return KeyValue(
        content(seen.get(1, b"")), content(seen.get(5, b"")), number(seen.get(2, 0)), number(seen.get(3, 0))
    )


def _revision(header: int | bytes) -> int:
    return next((number(value) for item, value in fields(content(header)) if item == _HEADER_REVISION), 0)
