"""A store whose process dies where it is told to: before its n-th write, before the commit, or right after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

from unipam.store.api import Store, Tx

WRITES = frozenset(
    (
        "create_space",
        "insert",
        "update",
        "remove",
        "record",
        "set_cursor",
        "set_fence",
        "set_note",
        "drop_fences",
        "forget",
    )
)


class Died(Exception):
    """The process is no more; nobody gets an answer."""


class Fault(NamedTuple):
    """Where to die: `write` number `nth`, `commit` (everything written, nothing durable), `answer` (all durable)."""

    where: str
    nth: int = 0


@dataclass
class FaultyStore:
    """A store with at most one fault ahead. `durable`: the inner store outlives its handle, as after a real death."""

    inner: Store
    durable: bool
    fault: Fault | None = None

    def transaction(self) -> _Transaction:
        return _Transaction(self)

    def reading(self) -> object:
        return self.inner.reading()

    def make_room(self) -> Iterable[None]:
        return self.inner.make_room()

    def close(self) -> None:
        self.inner.close()


class _Transaction:
    def __init__(self, store: FaultyStore) -> None:
        self._store = store
        self._inner = store.inner.transaction()

    def __enter__(self) -> Tx:
        tx = self._inner.__enter__()
        fault = self._store.fault
        return _Mortal(tx, fault.nth) if fault and fault.where == "write" else tx  # type: ignore[return-value]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fault = self._store.fault
        if kind is Died or (kind is None and fault and fault.where == "commit"):
            self._die(error or Died())
        self._inner.__exit__(kind, error, trace)
        if kind is None and fault and fault.where == "answer":
            raise Died

    def _die(self, error: BaseException) -> None:
        """Leave the transaction as death leaves it: not rolled back by us, but never committed."""
        if self._store.durable:
            self._store.inner.close()
        else:
            self._inner.__exit__(Died, error, None)
        raise error


class _Mortal:
    """A transaction that dies at one of its writes."""

    def __init__(self, tx: Tx, left: int) -> None:
        self._tx = tx
        self._left = left

    def __getattr__(self, name: str) -> object:
        if name in WRITES:
            self._left -= 1
            if self._left < 0:
                raise Died
        return getattr(self._tx, name)
