"""The plan of `unipam sizing` as tables for a terminal. Not here: the command (`cli.sizing`), and any rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from unipam.sizing.cluster import planned
from unipam.sizing.headroom import Ceiling
from unipam.sizing.limits import table
from unipam.sizing.needs import Need
from unipam.sizing.plan import Plan
from unipam.sizing.report import exclusions


def headline(plan: Plan) -> str:
    cluster = plan.cluster
    peak = planned(cluster).nodes(cluster)
    verdict = "works" if plan.works else "does not work"
    network = f"; one network for all subnets: /{plan.vnet_bits}" if plan.vnet_bits is not None else ""
    size = f"{cluster.nodes:,} nodes, {peak:,} at the peak, up to {cluster.pods:,} pods"
    return f"{cluster.name} ({cluster.variant.name}) {verdict}: {size}{network}"


def tables(plan: Plan) -> Iterator[Table]:
    """Yield the findings first, for they decide; what may not overlap last, for it is read once."""
    if plan.findings:
        yield _findings_table(plan)
    yield _table("Needed", "range|kind|units|in|prefix|exists|fits|made of", (_need_row(need) for need in plan.needs))
    yield _moments_table(plan)
    if plan.placements:
        rows = (
            (each.wanted.name, each.wanted.role.value, f"/{each.wanted.bits}", each.prefix, each.block)
            for each in plan.placements
        )
        yield _table("Where it fits", "range|role|prefix|place|in block", rows)
    yield _table(
        "Limits, the first to be hit first", "limit|capacity|nodes|peak|pods|rule", map(_ceiling_row, plan.ceilings)
    )
    rows_by_pool = ((name, *_ceiling_row(ceiling)) for name, ceiling in plan.pool_ceilings if ceiling)
    yield _table("First limit if one pool grows alone", "pool|limit|capacity|nodes|peak|pods|rule", rows_by_pool)
    if plan.what_if:
        yield _what_if_table(plan)
    yield _exclusions_table(plan)


def _findings_table(plan: Plan) -> Table:
    rows = (
        (each.severity.value, each.message, f"{each.rule.id} §{each.rule.section}", each.rule.source)
        for each in plan.findings
    )
    return _table("Findings (rules: docs/sizing-rules.md)", "grade|finding|rule|source", rows)


def _need_row(need: Need) -> tuple[object, ...]:
    parts = "; ".join(f"{part.what} {part.count:,} x {part.each:,}" for part in need.parts)
    prefix = "none" if need.prefix is None else f"/{need.prefix}"
    return need.name, need.kind.value, f"{need.units:,}", need.measure.unit, prefix, need.exists, _yes(need.fits), parts


def _moments_table(plan: Plan) -> Table:
    names = [need.name for need in plan.needs]
    rows = ((moment.name, f"{moment.nodes(plan.cluster):,}", *map(_size, needs)) for moment, needs in plan.moments)
    return _table("At other moments", "|".join(["moment", "nodes", *names]), rows)


def _size(need: Need) -> str:
    return f"{need.units:,} ({'no prefix' if need.prefix is None else f'/{need.prefix}'})"


def _ceiling_row(ceiling: Ceiling) -> tuple[object, ...]:
    gauge = ceiling.gauge
    capacity = f"{gauge.capacity:,} {gauge.unit}"
    rule = f"{gauge.rule.id} §{gauge.rule.section}{', verify' if gauge.rule.verify else ''}"
    return gauge.name, capacity, f"{ceiling.nodes:,}", f"{ceiling.peak:,}", f"{ceiling.pods:,}", rule


def _what_if_table(plan: Plan) -> Table:
    rows = (
        (
            f"+{each.growth}",
            f"{each.cluster.nodes:,}",
            f"{each.cluster.pods:,}",
            "; ".join(f"{need.name} {_size(need)}" for need in each.needs),
            "; ".join(gauge.name for gauge in each.exceeds) or "nothing",
        )
        for each in plan.what_if
    )
    return _table("What if", "growth|nodes|pods|needed|exceeds", rows)


def _exclusions_table(plan: Plan) -> Table:
    rows = (
        (
            each.one.value,
            ", ".join(role.value for role in each.others),
            each.severity.value,
            f"{each.rule.id} §{each.rule.section}",
        )
        for each in exclusions(plan)
    )
    return _table("May not overlap", "range|must stay clear of|grade|rule", rows)


def limits_table() -> Table:
    rows = (
        (f"{each.id} §{each.section}", f"{each.value:,} {each.unit}", each.statement, each.source, _yes(each.verify))
        for each in table()
    )
    return _table("Limits of Azure and AKS", "rule|value|meaning|source|verify", rows)


def _table(title: str, columns: str, rows: Iterable[Sequence[object]]) -> Table:
    drawn = Table(*columns.split("|"), title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        drawn.add_row(*("-" if cell is None else str(cell) for cell in row))
    return drawn


def _yes(value: bool) -> str:
    return "yes" if value else "no"
