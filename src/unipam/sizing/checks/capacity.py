"""Checks of sizes: node and pod limits, what fits the existing ranges, networks, and the free blocks (1.2, 1.4, 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unipam.sizing import headroom, limits, rules
from unipam.sizing.arithmetic import Percent
from unipam.sizing.cluster import BLUE_GREEN, STEADY, Cluster, Scenario, at_surge, planned
from unipam.sizing.findings import Finding, Severity, error, note, warning
from unipam.sizing.headroom import Gauge
from unipam.sizing.needs import Kind, Need, needs
from unipam.sizing.overlap import Role
from unipam.sizing.placement import Placement, place
from unipam.sizing.rules import Rule

RECOMMENDED = at_surge(f"surge {limits.RECOMMENDED_SURGE.value}%", Percent(limits.RECOMMENDED_SURGE.value))


def cluster_limits(cluster: Cluster) -> Iterator[Finding]:
    """Check L6, L9, L10, L11, and the routes of kubenet."""
    yield from _full(cluster, headroom.cluster_gauges(cluster))


def network_limits(cluster: Cluster) -> Iterator[Finding]:
    """Check L1, L2: addresses of the network and of its peered group."""
    yield from _full(cluster, headroom.network_gauges(cluster))


def _full(cluster: Cluster, gauges: Iterable[Gauge]) -> Iterator[Finding]:
    now = headroom.load(cluster)
    for gauge in gauges:
        if gauge.full(now):
            yield Finding(
                gauge.severity,
                gauge.rule,
                f"{gauge.name}: {gauge.read(now):,} exceed {gauge.capacity:,} {gauge.unit}: {gauge.way_out}",
            )


def fits(cluster: Cluster) -> Iterator[Finding]:
    """Check every existing range against the moments of a cluster's life: the first that does not fit is told."""
    moments = [{need.name: need for need in needs(cluster, moment)} for moment, _ in _moments(cluster)]
    for base in needs(cluster, planned(cluster)):
        for (moment, severity), at in zip(_moments(cluster), moments, strict=True):
            need = at[base.name]
            if _overflows(base, need):
                severest = _severity(base, moment, severity, cluster)
                yield Finding(
                    severest, _rule(moment, base), _too_small(base, need, moment, max(base, need, key=_units))
                )
                break


def _units(need: Need) -> int:
    return need.units


def _overflows(base: Need, need: Need) -> bool:
    """Return whether the need of a moment is more than the range holds, or if no range holds even the plan, than any
    does.
    """
    return need.prefix is None if base.capacity is None else need.units > base.capacity


def _moments(cluster: Cluster) -> tuple[tuple[Scenario, Severity], ...]:
    """Return the moments in the order of section 3, with the severity of not fitting."""
    return (
        (STEADY, Severity.ERROR),
        (planned(cluster), Severity.ERROR),
        (RECOMMENDED, Severity.WARNING),
        (BLUE_GREEN, Severity.WARNING),
    )


def _severity(base: Need, moment: Scenario, severity: Severity, cluster: Cluster) -> Severity:
    """Return the severity: a range that is yet to be made is only noted to be tight; an Overlay short of surge ranges
    is a warning (2.8).
    """
    if base.capacity is not None and base.exists is None:
        return Severity.NOTE
    tolerated = base.kind is Kind.POD_RANGE and cluster.variant.overlay and moment is not STEADY
    return Severity.WARNING if tolerated else severity


def _rule(moment: Scenario, base: Need) -> Rule:
    if moment is STEADY:
        return base.parts[0].rule
    return {RECOMMENDED.name: limits.RECOMMENDED_SURGE, BLUE_GREEN.name: rules.U9}.get(moment.name, rules.U11)


def _too_small(base: Need, need: Need, moment: Scenario, largest: Need) -> str:
    """Return what does not fit when, and the range to take: `largest` holds the planned peak too."""
    what = f"{base.kind.value} {base.name}"
    want = f"{need.units:,} {need.measure.unit} ({moment.name})"
    if largest.prefix is None:
        way_out = "split pools over several subnets or clusters"
        return f"{what}: {want} fit no range, the largest is /{need.measure.shortest}: {way_out}"
    have = f"{base.exists}" if base.exists else f"a /{base.prefix}"
    holds = f"{have} holds {base.capacity:,} {need.measure.unit}, not {want}"
    return f"{what}: {holds}: take a /{largest.prefix}, or plan less"


def replacement(cluster: Cluster) -> Iterator[Finding]:
    """Check M6, E1, P5: replacing a pool needs room for it twice; a subnet cannot grow; a scale-up fits or not."""
    existing = [need for need in needs(cluster, planned(cluster)) if need.exists]
    doubled = {pool.name: _doubled(cluster, pool.name) for pool in cluster.pools} if existing else {}
    for need in existing:
        tight = [name for name, units in doubled.items() if units[need.name] > (need.capacity or 0)]
        if need.fits and tight:
            what = f"{need.kind.value} {need.name}"
            yield note(rules.M6, f"{what} has no room to replace a pool side by side: {', '.join(tight)}")
    full = [need.name for need in existing if need.kind.in_vnet and not need.fits]
    if full:
        yield note(rules.E1, f"a subnet in use cannot be resized: make new ones for {', '.join(full)}, with new pools")
    if any(pool.autoscaled for pool in cluster.pools) and not all(need.fits for need in existing):
        yield note(rules.P5, "a scale-up that does not fit is refused whole: lower max until it fits")


def _doubled(cluster: Cluster, name: str) -> dict[str, int]:
    """Return the units of every need while the pool of that name and its replacement both run."""
    moment = Scenario("replacement", lambda pool: pool.nodes * (2 if pool.name == name else 1))
    return {need.name: need.units for need in needs(cluster, moment)}


_PLACED_BY = {Role.SUBNET: rules.S6, Role.POD_RANGE: rules.O7, Role.SERVICE_RANGE: rules.O2}


def placements(cluster: Cluster) -> Iterator[Finding]:
    """Yield ranges for which no free block has room, and subnets that come to lie outside the network (P2)."""
    vnet = cluster.networks.vnet
    for placement in place(cluster):
        item, prefix = placement.wanted, placement.prefix
        if prefix is None:
            yield error(_PLACED_BY[item.role], _no_place(placement))
        elif item.role is Role.SUBNET and vnet and not any(space.contains(prefix) for space in vnet):
            yield warning(
                rules.P2, f"subnet {item.name} {prefix} is outside the network: extend vnet, update the cluster"
            )


def _no_place(placement: Placement) -> str:
    item = placement.wanted
    free = f"the largest free prefix is {placement.largest}" if placement.largest else "nothing is free"
    way = f" (in the way: {', '.join(map(str, placement.obstacles))})" if placement.obstacles else ""
    wanted = f"{item.role.value} {item.name}: no free /{item.bits} in the blocks for {item.use.value}"
    return f"{wanted}, {free}{way}: add a block"
