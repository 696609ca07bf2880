"""What is asked of etcd: ranges, transactions and watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from unipam.clients.etcd import messages
from unipam.clients.etcd.members import Members
from unipam.clients.etcd.messages import RangeResponse, TxnResponse, WatchResponse
from unipam.clients.etcd.settings import Settings
from unipam.model.errors import Expired, SourceFailed

if TYPE_CHECKING:
    from unipam.clients.inbox import Inbox

_Read = TypeVar("_Read")

_PAGE = 500
"""Keys that are read at once where there may be very many."""


class Etcd:
    """A cluster. Any thread may use it; deadlines are readings of `time.monotonic()`."""

    def __init__(self, settings: Settings) -> None:
        self._members = Members(settings)
        self.name = self._members.name

    def range(self, key: bytes, end: bytes, deadline: float) -> RangeResponse:
        """Read one key, or those from `key` up to but not including `end`, in order. Raises SourceFailed."""
        return self._read(messages.read_range, self._members.read(messages.range_of(key, end), deadline))

    def pages(self, key: bytes, end: bytes, deadline: float) -> Iterator[RangeResponse]:
        """Read the keys from `key` up to `end` as they are at one moment, some at a time, in order.

        Raises SourceFailed, also where that moment is forgotten meanwhile.
        """
        revision, more = 0, True
        while more:
            request = messages.range_of(key, end, limit=_PAGE, revision=revision)
            found = self._read(messages.read_range, self._members.read(request, deadline))
            revision, more = revision or found.revision, found.more
            yield found._replace(revision=revision)
            if found.pairs:
                key = found.pairs[-1].key + b"\0"

    def ranges(self, spans: Sequence[tuple[bytes, bytes]], deadline: float) -> tuple[RangeResponse, ...]:
        """Read several ranges as they are at one moment, in one request. Raises SourceFailed."""
        request = messages.transaction((), [messages.get(key, end) for key, end in spans], ())
        found = self._read(messages.read_transaction, self._members.read_together(request, deadline))
        return tuple(each._replace(revision=found.revision) for each in found.found)

    def transact(
        self, compares: Sequence[bytes], success: Sequence[bytes], failure: Sequence[bytes], deadline: float
    ) -> TxnResponse:
        """Do `success` if every comparison holds, else `failure`. Raises Unanswered, SourceFailed."""
        request = messages.transaction(compares, success, failure)
        return self._read(messages.read_transaction, self._members.write(request, deadline))

    def watch(self, key: bytes, end: bytes, after: int, deadline: float) -> Inbox[WatchResponse]:
        """Watch what happens to a range after a revision.

        Raises SourceFailed; reading it raises SourceFailed and Expired.
        """
        from unipam.clients.inbox import Inbox  # a cold call watches nothing

        call, ended = self._members.watch(messages.watch(key, end, after), deadline)
        return Inbox(watched(call, after, self.name), call.cancel, ended)

    def close(self) -> None:
        """Let go of every connection."""
        self._members.close()

    def _read(self, reader: Callable[[bytes], _Read], message: bytes) -> _Read:
        try:
            return reader(message)
        except ValueError as error:
            raise SourceFailed(f"{self.name}: its answer cannot be read: {error}", source=self.name) from error


def watched(encoded: Iterable[bytes], after: int, name: str) -> Iterator[WatchResponse]:
    """Yield what the messages of a watch say after its beginning. Raises Expired, ValueError."""
    for message in encoded:
        read = messages.read_watch(message)
        if read.compacted:
            text = f"{name}: what happened after revision {after} is forgotten (known from {read.compacted})"
            raise Expired(text, source=name, revision=after)
        if read.cancelled is not None:
            raise SourceFailed(f"{name}: the watch was cancelled: {read.cancelled}", source=name)
        if not read.created:
            yield read
