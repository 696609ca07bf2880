"""What every route works with: the parts of a running register, and who is asking."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import msgspec
from fastapi import Depends, Request
from fastapi.responses import Response

from unipam.model.errors import SourceFailed
from unipam.server.auth import Authenticator
from unipam.server.desk import Desk
from unipam.server.metrics import Metrics
from unipam.service.cloud import Cloud, Snapshot
from unipam.service.plan_access import Caller, exclusions


@dataclass
class Register:
    """The parts of one running register."""

    desk: Desk
    cloud: Cloud
    auth: Authenticator
    clock: Callable[[], float]
    metrics: Metrics = field(default_factory=Metrics)
    stack: str = "Unknown"
    environment: str = "AZURE_PUBLIC"
    version: str = field(default_factory=lambda: importlib.metadata.version("unipam"))

    async def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        """What is seen of the cloud. Raises SourceFailed."""
        return await self.desk.call(lambda: self.cloud.snapshot(newer_than=newer_than))

    async def last_snapshot(self) -> Snapshot:
        """What is seen of the cloud, or an empty one: for what can be answered without it."""
        try:
            return await self.snapshot()
        except SourceFailed:
            return Snapshot()

    async def visible(self, caller: Caller) -> Snapshot:
        """What this caller may see of the cloud: everything for an administrator, else by the cloud's own rules (D12).

        A caller without an Entra token sees nothing.
        """
        if caller.admin:
            return await self.snapshot()
        if not caller.credential:
            return Snapshot()
        return await self.desk.call(lambda: self.cloud.visible_to(caller.credential))

    async def shown(self, caller: Caller) -> Snapshot:
        """What this caller may see of the cloud, without the excluded subscriptions: what listings show."""
        snapshot, hidden = await self.visible(caller), await self.desk.read(exclusions)
        return snapshot.without(hidden) if hidden else snapshot

    def age(self, snapshot: Snapshot) -> dict[str, str]:
        """The header that tells how old what is shown of the cloud is; none when nothing was seen yet."""
        return {"Age": str(max(0, round(self.clock() - snapshot.taken)))} if snapshot.taken else {}


def register_of(request: Request) -> Register:
    """The register that serves this request."""
    return cast("Register", request.app.state.register)


async def _here(request: Request) -> Register:
    """The same as a dependency; a coroutine, because the framework sends anything else to a thread."""
    return register_of(request)


async def signed_in(request: Request) -> Caller:
    """Who is asking. Raises NotSignedIn or Throttled."""
    place = request.client.host if request.client else "unknown"
    return await register_of(request).auth.caller(request.headers.get("authorization", ""), place)


Signed = Annotated[Caller, Depends(signed_in)]
Here = Annotated[Register, Depends(_here)]

_encoder = msgspec.json.Encoder()


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Anything of plain values as JSON."""
    return Response(_encoder.encode(content), status, headers, media_type="application/json")
