"""A cluster's members, asked in turn until one answers.

What only reads is asked of the next member when one is away, or says nothing within a few seconds. What writes is
sent once: where no answer came, nobody knows whether it was done. So it goes only to a member that has answered
before, which a small read finds out, and is sent again only where it surely was not received.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from unipam.clients.etcd import messages
from unipam.clients.etcd.channel import Channel, Metadata, RpcFailed, Stream
from unipam.clients.etcd.settings import Settings, Tls, addresses
from unipam.model.errors import BadValue, SourceFailed, Unanswered, UnipamError

_Answer = TypeVar("_Answer")
Ended = Callable[[Exception | None], Exception]
"""What to say of a stream that ended, with an error or just so."""

_RANGE, _TXN, _WATCH = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn", "/etcdserverpb.Watch/Watch"
_AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"
_TIMEOUT = 2.0
"""Seconds for one member while there are others to ask; twice as many in each further round."""
_PAUSE = 0.05
"""Seconds between two rounds in which nobody answered."""
_UNSENT = ("failed to connect", "too many requests", "no leader", "invalid auth token", "DNS resolution failed")
"""What errors say of which it is sure that nothing was done."""
_TOO_LARGE = ("request is too large", "larger than max")


class Member:
    """One member's endpoint. `proven`: it has answered, and not failed since."""

    def __init__(self, address: str, tls: Tls | None) -> None:
        self.proven = False
        self.channel = Channel(address, tls)

    def call(self, method: str, request: bytes, timeout: float, metadata: Metadata) -> bytes:
        """Return the encoded answer of a call. Raises RpcFailed."""
        answer = self.channel.call(method, request, timeout, metadata)
        self.proven = True
        return answer


class Members:
    """All members of a cluster, and the token that they gave this user."""

    def __init__(self, settings: Settings) -> None:
        self._user, self._password = settings.user, settings.password
        known = addresses(settings.endpoints)
        self._members = [Member(address, settings.tls if secure else None) for address, secure in known]
        self._first = 0
        self._token = ""
        self._lock = threading.Lock()
        self.name = f"etcd at {','.join(settings.endpoints)}"

    def read(self, request: bytes, deadline: float) -> bytes:
        """Return the answer to a RangeRequest, from whichever member gives it. Raises SourceFailed."""
        return self._ask(lambda member, timeout: self._send(member, _RANGE, request, timeout), deadline)

    def read_together(self, request: bytes, deadline: float) -> bytes:
        """Return the answer to a TxnRequest that only reads. Raises SourceFailed."""
        return self._ask(lambda member, timeout: self._send(member, _TXN, request, timeout), deadline)

    def write(self, request: bytes, deadline: float) -> bytes:
        """Return the answer to a TxnRequest.

        Raises Unanswered when it may have been done, SourceFailed when it was not.
        """
        return self._ask(lambda member, timeout: self._write(member, request, timeout), deadline)

    def watch(self, request: bytes, deadline: float) -> tuple[Stream, Ended]:
        """Begin a watch: return its encoded WatchResponses, and what words its end.

        Raises SourceFailed.
        """

        def begin(member: Member, timeout: float) -> tuple[Stream, Ended]:
            self._prove(member, timeout)
            metadata = (*self._metadata(member, timeout), ("hasleader", "true"))  # else a member cut off says nothing
            stream = member.channel.stream(_WATCH, request, timeout, metadata)
            return stream, lambda error: self._ended(member, error)

        return self._ask(begin, deadline)

    def close(self) -> None:
        """Let go of every connection."""
        for member in self._members:
            member.channel.close()

    def _failed(self, error: RpcFailed) -> SourceFailed:
        """Return the error for a call that ended with this one."""
        return SourceFailed(f"{self.name}: {error}", source=self.name)

    def _ended(self, member: Member, error: Exception | None) -> Exception:
        """Return the error for a watch that ended, with this error or without one.

        The next watch begins at another member.
        """
        try:
            if isinstance(error, RpcFailed):
                return self._leave(member, error)
        except UnipamError as final:
            return final
        if isinstance(error, UnipamError):
            return error
        return SourceFailed(f"{self.name}: the watch ended ({error or 'without a reason'})", source=self.name)

    def _ask(self, attempt: Callable[[Member, float], _Answer], deadline: float) -> _Answer:
        timeout, problem = _TIMEOUT, SourceFailed(f"{self.name}: no answer in time", source=self.name)
        while True:
            for turn in range(self._first, self._first + len(self._members)):
                member = self._members[turn % len(self._members)]
                if (left := deadline - time.monotonic()) <= 0:
                    raise problem
                try:
                    return attempt(member, left if len(self._members) == 1 else min(left, timeout))
                except RpcFailed as error:
                    problem = self._leave(member, error)
            timeout *= 2
            time.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))

    def _leave(self, member: Member, error: RpcFailed) -> SourceFailed:
        """Begin with the next member from now on; what to say if none answers. Raises where none would do better."""
        if any(words in error.details for words in _TOO_LARGE):
            raise BadValue(f"{self.name}: {error.details} (its --max-request-bytes)", field="document") from error
        if error.code in {"INVALID_ARGUMENT", "PERMISSION_DENIED", "FAILED_PRECONDITION", "OUT_OF_RANGE"}:
            raise self._failed(error) from error
        if "invalid auth token" in error.details:
            self._token = ""
        else:
            member.proven = False
            self._first = (self._members.index(member) + 1) % len(self._members)
        return self._failed(error)

    def _send(self, member: Member, method: str, request: bytes, timeout: float) -> bytes:
        return member.call(method, request, timeout, self._metadata(member, timeout))

    def _write(self, member: Member, request: bytes, timeout: float) -> bytes:
        until = time.monotonic() + timeout
        self._prove(member, timeout)
        metadata = self._metadata(member, timeout)
        try:
            return member.call(_TXN, request, max(0.0, until - time.monotonic()), metadata)
        except RpcFailed as error:
            if _surely_unsent(error):
                raise
            self._leave(member, error)
            raise Unanswered(f"{self._failed(error)}: it may have been written", source=self.name) from error

    def _prove(self, member: Member, timeout: float) -> None:
        if not member.proven:
            self._send(member, _RANGE, messages.range_of(b"\0", limit=1, serializable=True), timeout)

    def _metadata(self, member: Member, timeout: float) -> Metadata:
        if not self._user:
            return ()
        with self._lock:
            if not self._token:
                request = messages.credentials(self._user, self._password)
                self._token = messages.read_token(member.call(_AUTHENTICATE, request, timeout, ()))
        return (("token", self._token),)


def _surely_unsent(error: RpcFailed) -> bool:
    """Return whether a write that ended with this error was certainly not done."""
    refused = error.code in {"INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"}
    return refused or any(words in error.details for words in _UNSENT)
