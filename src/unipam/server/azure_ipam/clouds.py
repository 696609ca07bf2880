"""What is seen of the cloud (spec azure-ipam-application §2.7), as far as the caller may see it; and the status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.dialects.azure_ipam import cloud_shapes as shapes
from unipam.dialects.azure_ipam.shapes import size_of
from unipam.model import objects
from unipam.model.cloud import Snapshot, key
from unipam.model.records import SPACE
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.networks import associated
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.server.azure_ipam import answers as a
from unipam.server.register import RegisterDep, Session, SessionDep, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(include_in_schema=False)
status_router = Router(tags=["status"])

Render = Callable[[Snapshot, shapes.Parents], Any]


async def _shown(session: Session, render: Render) -> Response:
    """Answer with a listing of what the caller may see, and how old it is."""
    snapshot = await session.register.shown(session.caller)
    parents = await session.read(_parents)
    return reply(render(snapshot, parents), headers=session.register.age(snapshot))


def _parents(tx: Tx) -> shapes.Parents:
    """Return the space and blocks of every associated network."""
    found: dict[str, list[tuple[str, str]]] = {}
    for space in tree.in_order(tree.spaces(tx)):
        for block in tree.in_order(blocks(tx, space.id)):
            for each in associated(tx, block):
                found.setdefault(key(each.facts.id), []).append((space.facts.name, block.facts.name))
    return found


_LISTINGS: dict[str, Render] = {
    "vnet": shapes.vnets,
    "subnet": lambda snapshot, _: shapes.subnets(snapshot),
    "vhub": shapes.vhubs,
    "network": shapes.networks,
    "endpoint": lambda snapshot, _: shapes.endpoints(snapshot, ("pe", "df")),
    "multi": lambda snapshot, _: shapes.endpoints(snapshot, shapes.MULTI),
}


def _add_listing(name: str, render: Render) -> None:
    @router.get(f"/azure/{name}", name=f"azure_{name}")
    async def listing(session: SessionDep) -> Response:
        return await _shown(session, render)


def _of_source(source: str) -> Render:
    return lambda snapshot, _: shapes.endpoints(snapshot, (source,))


for _name in shapes.MULTI:
    _LISTINGS[_name] = _of_source(_name)
for _name, _render in _LISTINGS.items():
    _add_listing(_name, _render)


@router.get("/azure/subscription")
async def get_subscriptions(session: SessionDep) -> Response:
    """Every subscription that the caller may see, the excluded ones too."""
    snapshot = await session.register.visible(session.caller)
    return reply([shapes.subscription(each) for each in snapshot.subscriptions])


@router.get("/internal/tree")
async def get_tree(session: SessionDep) -> Response:
    """The plan and what is in its networks, as a tree of sizes."""
    snapshot = await session.register.visible(session.caller)
    view = _TreeView(Visibility(session.caller, snapshot.networks), snapshot)

    def work(tx: Tx) -> list[dict[str, Any]]:
        return [_branch(tx, each, each.id, view) for each in tree.in_order(tree.spaces(tx))]

    return reply([{"name": "root", "children": await session.read(work)}])


class _TreeView(NamedTuple):
    visibility: Visibility
    snapshot: Snapshot


def _branch(tx: Tx, node: tree.Node[Any], space: int, view: _TreeView) -> dict[str, Any]:
    """Return an object of the plan with what it holds; `value` is what its children leave of its size."""
    if isinstance(node.facts, objects.Network):
        return _network(tree.Node(node.claim, node.facts), space, view)
    held = map(tree.node, (claim for claim in tx.claims(node.id) if claim.kind != objects.RESERVATION))
    inner = [_branch(tx, each, space, view) for each in tree.in_order(held)]
    if node.claim.kind == SPACE:
        return {"name": node.facts.name, "value": 0, "children": inner}
    return _leaf(node.facts.name, node.prefix, inner)


def _network(node: tree.Node[objects.Network], space: int, view: _TreeView) -> dict[str, Any]:
    if not view.visibility.sees(space, node.facts.id):
        return _leaf(HIDDEN, node.prefix, [])
    network = view.snapshot.network(node.facts.id)
    seen = [(s.name, p) for s in (network.subnets if network else ()) for p in s.prefixes]
    inner = [_leaf(name, prefix, []) for name, prefix in seen if node.prefix.contains(prefix)]
    return _leaf(node.facts.name, node.prefix, inner)


def _leaf(name: str, prefix: Prefix, inner: list[dict[str, Any]]) -> dict[str, Any]:
    size = size_of([prefix])
    rest = size - sum(child["size"] for child in inner)
    return {"name": name, "ip": str(prefix), "size": size, "value": max(0, rest), "children": inner}


@status_router.get("/status", response_model=a.Status)
async def get_status(register: RegisterDep) -> Response:
    """Whether the register answers, and what it is."""
    what = {"version": register.version, "stack": register.stack, "environment": register.environment}
    where = {"container": register.container} if register.container else {}
    return reply({"status": "OK", **what, **where})
