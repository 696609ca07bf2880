"""The leases of the node beside the register, by the native API. Administrators only: they name a cluster's pods."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from unipam.ledger.reads import is_of
from unipam.plan.permissions import UseCase
from unipam.plan.tree import require_reason
from unipam.server.native import documented as shapes
from unipam.server.native.requests import Paged, page, problems
from unipam.server.node import has, node_of
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router

router = Router(prefix="/leases", tags=["node"])

_NAME = Query(max_length=253)


@router.get("", response_model=shapes.LEASES, responses=problems(404))
async def list_leases(
    session: SessionDep,
    paging: Paged,
    network: Annotated[str, _NAME] = "",
    namespace: Annotated[str, _NAME] = "",
    pod: Annotated[str, Query(max_length=507, description="With or without its namespace.")] = "",
    state: Annotated[str, Query(max_length=16, description="`held` or `cooling`.")] = "",
) -> Response:
    """Every lease of the node's ledger, by network and address; `q` may be an address or a prefix."""
    session.require(UseCase.SEE_LEASES)
    whose = {"network": network, "namespace": namespace, "pod": pod, "state": state}
    rows = [each._asdict() for each in await node_of(session.register.node).leases()]
    found = [row for row in rows if is_of(row, **whose) and has(row, paging.text)]
    return page(found, paging._replace(text=""), "generation")


@router.get("/pools", response_model=shapes.POOLS, responses=problems(404))
async def list_pools(session: SessionDep, paging: Paged) -> Response:
    """How full the node's pools are."""
    session.require(UseCase.SEE_LEASES)
    rows = [each._asdict() for each in await node_of(session.register.node).pools()]
    return page(rows, paging, "ranges")


@router.delete("", response_model=shapes.LEASE, responses=problems(404, 409, 412))
async def release_lease(
    session: SessionDep,
    address: Annotated[str, Query(max_length=45)],
    generation: Annotated[int, Query(ge=1, lt=1 << 63, description="Of the lease that is meant.")],
    reason: Annotated[str, Query(max_length=255)] = "",
) -> Response:
    """Release the lease of an address by hand. While its container runs, that makes a duplicate address possible."""
    session.require(UseCase.RELEASE_LEASE)
    require_reason(reason)
    node = node_of(session.register.node)
    return reply((await node.release(address, generation, reason, session.caller.name))._asdict())


@router.get("/{subject:path}", response_model=shapes.EXPLANATION, responses=problems(404))
async def explain_lease(session: SessionDep, subject: str) -> Response:
    """Why an address, a container, a pod or a network is as it is: sentences, and the records behind them."""
    session.require(UseCase.SEE_LEASES)
    told = await node_of(session.register.node).explain(subject)
    leases, history = ([each._asdict() for each in rows] for rows in (told.leases, told.history))
    return reply(
        {"subject": told.subject, "kind": told.kind, "sentences": told.sentences, "leases": leases, "history": history}
    )
