"""The door for node pools: their fields, growth, and the split into one pool a zone.

Not here: other fields (`document`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from unipam.sizing import limits
from unipam.sizing.arithmetic import Share
from unipam.sizing.cluster import NODES, PODS, NodePool
from unipam.sizing.fields import Bounds, Fields, upto
from unipam.sizing.rules import M9
from unipam.sizing.variants import Variant

_NODES = Bounds(0, limits.POOL_NODES.value, limits.POOL_NODES)
_MAX_PODS = Bounds(limits.MIN_MAX_PODS.value, limits.MAX_MAX_PODS.value, limits.MAX_MAX_PODS)
_NAME = re.compile(rf"[a-z][a-z0-9]{{0,{limits.POOL_NAME.value - 1}}}", re.ASCII)
_WINDOWS_NAME = re.compile(rf"[a-z][a-z0-9]{{0,{limits.WINDOWS_POOL_NAME.value - 1}}}", re.ASCII)
MOST_GROWTH = 2_000  # percent; nobody plans for more than twentyfold
_MOST_ZONES = 9


class Mode(Enum):
    """System pools run what the cluster itself needs."""

    SYSTEM = "system"
    USER = "user"


class System(Enum):
    """The operating system of the nodes."""

    LINUX = "linux"
    WINDOWS = "windows"


def read_pools(fields: Fields, variant: Variant) -> tuple[NodePool, ...]:
    """Read the pools of a document, grown and split; problems go to `fields`.

    The first is a system pool unless it says not.
    """
    growth = fields.share("growth", upto(limits.POOL_NODES), MOST_GROWTH)
    pools: list[NodePool] = []
    for key, value in fields.items("pools"):
        if len(pools) >= limits.POOLS.value:
            fields.problem(
                "pools", f"a cluster has at most {limits.POOLS.value} pools (rule {limits.POOLS.id}): use larger ones"
            )
            break
        inner = fields.as_section(key, value)
        if isinstance(value, dict):
            pools += _split(inner, _pool(inner, variant, growth, first=not pools))
            inner.refuse_unknown()
    _need_system_pool(fields, pools)
    return tuple(pools)


def _need_system_pool(fields: Fields, pools: list[NodePool]) -> None:
    if not fields.raw("pools"):
        fields.problem("pools", "is missing or empty: give at least one pool, as [{name: system, nodes: 3}]")
    elif not fields.problems and not any(pool.system and pool.nodes for pool in pools):
        fields.problem(
            "pools", f"no system pool has a node: give one mode: system (rule {limits.SYSTEM_POOL_NODES.id})"
        )


def _pool(fields: Fields, variant: Variant, growth: Share | None, *, first: bool) -> NodePool:
    windows = fields.choice("os", System, System.LINUX) is System.WINDOWS
    system = fields.choice("mode", Mode, Mode.SYSTEM if first else Mode.USER) is Mode.SYSTEM
    pool = NodePool(
        name=_pool_name(fields, windows=windows),
        nodes=_nodes(fields, system=system),
        max_pods=_max_pods(fields, variant),
        pods=fields.integer("pods", Bounds(0, limits.MAX_MAX_PODS.value)) if fields.has("pods") else None,
        max_surge=fields.share("max_surge", _NODES, 100),
        max_unavailable=fields.share("max_unavailable", _NODES, 100) or 0,
        autoscaled=fields.has("max"),
        system=system,
        windows=windows,
        zones=_zones(fields),
        node_subnet=fields.name("node_subnet", NODES),
        pod_subnet=_pod_subnet(fields, variant),
    )
    own = fields.share("growth", upto(limits.POOL_NODES), MOST_GROWTH)
    return pool.grown(own if own is not None else growth or 0)


def _pool_name(fields: Fields, *, windows: bool) -> str:
    if not fields.has("name"):
        fields.problem("name", "is missing: name the pool")
    limit, pattern = (limits.WINDOWS_POOL_NAME, _WINDOWS_NAME) if windows else (limits.POOL_NAME, _NAME)
    rule = f"a lower-case letter, then letters and digits, at most {limit.value} (rule {limit.id})"
    return fields.name("name", "", pattern, rule)


def _nodes(fields: Fields, *, system: bool) -> int:
    """Return the planned nodes: `max` of an autoscaled pool, else `nodes`."""
    bounds = Bounds(int(system), limits.POOL_NODES.value, limits.SYSTEM_POOL_NODES)
    nodes, low, high = (fields.integer(key, bounds, bounds.low) for key in ("nodes", "min", "max"))
    if not fields.has("max"):
        if fields.has("min"):
            fields.problem("min", "is given without max: give both for an autoscaled pool, or nodes")
        elif not fields.has("nodes"):
            fields.problem("nodes", "is missing: give nodes, or min and max of an autoscaled pool")
        return nodes
    for key, value in (("min", low), ("nodes", nodes)):
        if fields.has(key) and value > high:
            fields.problem(key, f"{value} is more than max {high}")
    return high


def _max_pods(fields: Fields, variant: Variant) -> int:
    if variant.default_max_pods is not None:
        return fields.integer("max_pods", _MAX_PODS, variant.default_max_pods.value)
    if not fields.has("max_pods"):
        fields.problem(
            "max_pods", f"is missing: {variant.name} has no documented default (rule {M9.id}): give {_MAX_PODS}"
        )
    return fields.integer("max_pods", _MAX_PODS, limits.MAX_MAX_PODS.value)


def _pod_subnet(fields: Fields, variant: Variant) -> str:
    if fields.has("pod_subnet") and not variant.pods.has_pod_subnet:
        fields.problem("pod_subnet", f"has no meaning with {variant.name}: leave it out, or choose pod-subnet")
    return fields.name("pod_subnet", PODS)


def _zones(fields: Fields) -> tuple[int, ...]:
    """Return zone numbers, each once."""
    zones = []
    for key, value in fields.items("zones"):
        zones.append(Fields({key: value}, fields.path, fields.problems).integer(key, Bounds(1, _MOST_ZONES), 1))
    if len(set(zones)) != len(zones):
        fields.problem("zones", f"{zones} names a zone twice")
    return tuple(zones[:_MOST_ZONES])


def _split(fields: Fields, pool: NodePool) -> Iterator[NodePool]:
    """Yield one pool for each zone if `pool_per_zone` says so (P7): the nodes shared evenly, the first zones having
    more.
    """
    if not fields.boolean("pool_per_zone"):
        yield pool
        return
    if not 0 < len(pool.zones) <= pool.nodes:
        fields.problem(
            "pool_per_zone",
            f"needs zones, and a node for each; there are {pool.nodes} nodes in {len(pool.zones)} zones",
        )
        return
    least, more = divmod(pool.nodes, len(pool.zones))
    for index, zone in enumerate(pool.zones):
        yield replace(pool, name=f"{pool.name}/zone{zone}", nodes=least + (index < more), zones=(zone,))
