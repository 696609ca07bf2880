"""What every route works with: the parts of a running register, and who is asking."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import msgspec
from fastapi import Depends, Request
from fastapi.responses import Response

from unipam.model.cloud import Snapshot
from unipam.model.errors import SourceFailed, UnipamError
from unipam.model.objects import Reservation
from unipam.plan.access.callers import EVERYWHERE, Caller, exclusions
from unipam.plan.cloud.port import Cloud
from unipam.plan.networks import associated_in
from unipam.plan.permissions import UseCase, Visibility, require
from unipam.plan.tree import Author, spaces
from unipam.server.auth import Authenticator
from unipam.server.code_flow import CodeFlow
from unipam.server.comparison import Compared, Comparison
from unipam.server.metrics import Metrics
from unipam.server.node import Node
from unipam.server.store_worker import StoreWorker
from unipam.server.surroundings import PROCESS
from unipam.server.threads import Threads
from unipam.store.api import Tx

T = TypeVar("T")

CLOSING = 1.0
"""Seconds for which a look at the cloud that is under way is waited for at the end."""


@dataclass
class Register:
    """The parts of one running register.

    Whoever looks at the cloud may wait long, so each kind of looking has threads of its own.
    """

    worker: StoreWorker
    cloud: Cloud
    auth: Authenticator
    clock: Callable[[], float]
    metrics: Metrics = field(default_factory=Metrics)
    stack: str = PROCESS
    container: dict[str, str] | None = None
    environment: str = "AZURE_PUBLIC"
    comparison: Comparison = field(default_factory=Comparison)
    engine: str = "SQLite"
    flow: CodeFlow | None = None
    node: Node | None = None
    version: str = field(default_factory=lambda: importlib.metadata.version("unipam"))
    _looking: Threads = field(default_factory=lambda: Threads(2, "cloud"))
    _visiting: Threads = field(default_factory=lambda: Threads(8, "visitor"))
    _computing: Threads = field(default_factory=lambda: Threads(1, "aside"))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do in a thread what takes long by computing, such as reading a large body."""
        return await self._computing.call(work)

    async def elsewhere(self, work: Callable[[], T]) -> T:
        """Do in a thread what waits for somebody else's server on behalf of one person."""
        return await self._visiting.call(work)

    async def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        """Return what is seen of the cloud. Raises SourceFailed."""
        return await self._looking.call(lambda: self.cloud.snapshot(newer_than=newer_than))

    async def last_snapshot(self) -> Snapshot:
        """Return what is seen of the cloud, or an empty one: for what can be answered without it."""
        try:
            return await self.snapshot()
        except SourceFailed:
            return Snapshot()

    async def compared(self) -> Compared:
        """Return the plan compared with all that is seen of the cloud."""
        snapshot = await self.last_snapshot()
        return await self.worker.read_at_length(lambda tx: self.comparison.of(tx, snapshot))

    async def visible(self, caller: Caller, *, newer_than: float = 0.0) -> Snapshot:
        """Return what this caller may see of the cloud (D12). Raises SourceFailed.

        An administrator sees everything; a person who signed in with Entra ID what Azure shows to them; and a planner
        the networks of its spaces.
        """
        if caller.admin:
            return await self.snapshot(newer_than=newer_than)
        own = await self._own_view(caller, newer_than)
        if not caller.plans:
            return own
        whole = await self.last_snapshot()
        keys = await self.worker.read(lambda tx: associated_in(tx, [s.id for s in spaces(tx) if caller.may_plan(s.id)]))
        planned = {each: network for each in keys if (network := whole.network(each)) is not None}
        taken = min(own.taken or whole.taken, whole.taken or own.taken)
        return own._replace(networks={**planned, **own.networks}, taken=taken)

    async def _own_view(self, caller: Caller, newer_than: float = 0.0) -> Snapshot:
        """Return what the cloud shows to the caller itself; nothing unless that is a person. Raises SourceFailed.

        It may take seconds, so the threads that wait for it are not those that read the database.
        """
        if not caller.credential:
            return Snapshot()
        return await self._visiting.call(lambda: self.cloud.visible_to(caller.credential, newer_than=newer_than))

    async def visibility(self, caller: Caller, space: str | None = None) -> Visibility:
        """Return which networks of the plan, or of one of its spaces, this caller may know of.

        While the cloud cannot be asked for the caller, it knows of none: the plan is shown all the same.
        """
        if caller.may_plan(EVERYWHERE if space is None else space):
            return Visibility(caller)
        try:
            own = await self._own_view(caller)
        except SourceFailed:
            return Visibility(caller)
        return Visibility(caller, own.networks)

    async def within_reach(self, caller: Caller, *, newer_than: float = 0.0) -> Snapshot:
        """Return the networks that a caller may bring into spaces that it plans. Raises SourceFailed.

        A person must see them. An application or a local token cannot be asked for in Azure: it may take what the
        register sees, of networks that it can name by their ids.
        """
        if caller.credential:
            return await self.visible(caller, newer_than=newer_than)
        return await self.snapshot(newer_than=newer_than)

    async def reach(self, caller: Caller, ids: Sequence[str]) -> Snapshot:
        """Return what the caller may take networks from, looked at anew when one of these is not in it yet."""
        snapshot = await self.within_reach(caller)
        if all(snapshot.network(each) for each in ids):
            return snapshot
        return await self.within_reach(caller, newer_than=self.clock())

    async def shown(self, caller: Caller) -> Snapshot:
        """Return what this caller may see of the cloud, without the excluded subscriptions: what listings show."""
        snapshot, hidden = await self.visible(caller), await self.worker.read(exclusions)
        return snapshot.without(hidden) if hidden else snapshot

    def age(self, snapshot: Snapshot) -> dict[str, str]:
        """Return the header that tells how old what is shown of the cloud is; none when nothing was seen yet."""
        return {"Age": str(max(0, round(self.clock() - snapshot.taken)))} if snapshot.taken else {}

    async def close(self) -> None:
        """Let go of the cloud and the database; what hangs is left alone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await self._looking.call(self.cloud.close)
        now = time.monotonic()
        self.auth.close()
        self._looking.close(now)
        self._visiting.close(now)
        self._computing.close(now)
        if self.node is not None:
            self.node.close(now)
        self.worker.close()


def register_of(request: Request) -> Register:
    """Return the register that serves this request."""
    return cast("Register", request.app.state.register)


async def _register(request: Request) -> Register:
    """Return the register as a dependency; a coroutine, because the framework sends anything else to a thread.

    A DELETE frees something, whatever it deletes, and works on a full disk too.
    """
    register = register_of(request)
    return replace(register, worker=register.worker.freeing()) if request.method == "DELETE" else register


def place_of_caller(request: Request) -> str:
    """Return from where a request comes, for counting failures; a proxy may pass anything on."""
    return request.client.host[:64] if request.client else "unknown"


async def signed_in(request: Request) -> Caller:
    """Return who is asking; found out once for a request. Raises NotSignedIn, Forbidden or Throttled."""
    if not hasattr(request.state, "caller"):
        authorization = request.headers.get("authorization", "")
        request.state.caller = await register_of(request).auth.caller(authorization, place_of_caller(request))
    return cast("Caller", request.state.caller)


class Session(NamedTuple):
    """One request of one caller."""

    register: Register
    caller: Caller

    def require(self, use_case: UseCase, space: str = "", reservation: Reservation | None = None) -> None:
        """Refuse a caller who may not do this; see `plan.permissions`. Raises Forbidden."""
        require(self.caller, use_case, space, reservation)

    async def visibility(self, space: str | None = None) -> Visibility:
        """Return which networks of the plan, or of one of its spaces, the caller may know of."""
        return await self.register.visibility(self.caller, space)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Do work on one consistent state."""
        return await self.register.worker.read(work)

    async def write(self, work: Callable[[Tx, Author], T]) -> T:
        """Do work as one transaction of the caller's."""
        return await self.register.worker.write(work, self.caller.author())


async def open_session(request: Request) -> Session:
    """Return the session of a request. Raises as `signed_in`."""
    return Session(await _register(request), await signed_in(request))


CallerDep = Annotated[Caller, Depends(signed_in)]
RegisterDep = Annotated[Register, Depends(_register)]
SessionDep = Annotated[Session, Depends(open_session)]

_encoder = msgspec.json.Encoder()


def retry_headers(error: UnipamError, status: int) -> dict[str, str]:
    """Return the headers that tell how to ask again: signed in, or later."""
    if status in (429, 503):
        return {"Retry-After": str(error.facts.get("seconds", 1))}
    return {"WWW-Authenticate": "Bearer"} if status == 401 else {}


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with anything of plain values as JSON."""
    return Response(_encoder.encode(content), status, headers, media_type="application/json")
