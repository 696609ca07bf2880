"""A plan as a document of plain values, for JSON and YAML and for anything that draws tables.

Here: the names of the output and nothing else. Not here: deciding anything (`plan`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unipam.sizing import overlap
from unipam.sizing.cluster import Scenario, planned
from unipam.sizing.findings import Finding
from unipam.sizing.headroom import Ceiling, Gauge
from unipam.sizing.limits import table
from unipam.sizing.needs import Need
from unipam.sizing.overlap import Exclusion, NamedRange, Role
from unipam.sizing.placement import Placement
from unipam.sizing.plan import Plan, WhatIf
from unipam.sizing.rules import Rule

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]
Document = dict[str, Value]


def as_document(plan: Plan) -> Document:
    """Return the whole plan. Prefixes are text, needed lengths are numbers; `addresses` excludes those Azure keeps."""
    cluster = plan.cluster
    return {
        "name": cluster.name,
        "variant": cluster.variant.name,
        "pod_addresses": cluster.variant.pods.value,
        "works": plan.works,
        "nodes": cluster.nodes,
        "peak_nodes": planned(cluster).nodes(cluster),
        "pods": cluster.pods,
        "network_prefix": plan.vnet_bits,
        "needs": [_need(need) for need in plan.needs],
        "moments": [_moment(moment, needs, plan) for moment, needs in plan.moments],
        "placements": [_placement(placement) for placement in plan.placements],
        "first_limit": _ceiling(plan.ceilings[0]) if plan.ceilings else None,
        "limits": [_ceiling(ceiling) for ceiling in plan.ceilings],
        "limits_by_pool": {name: _ceiling(ceiling) if ceiling else None for name, ceiling in plan.pool_ceilings},
        "what_if": [_what_if(answer) for answer in plan.what_if],
        "may_not_overlap": _exclusions(plan),
        "findings": [_finding(finding) for finding in plan.findings],
    }


def limits_document() -> list[Document]:
    """Return the table of limits with their sources."""
    return [{**_rule(limit), "value": limit.value, "unit": limit.unit, "meaning": limit.statement} for limit in table()]


def _need(need: Need) -> Document:
    return {
        "name": need.name,
        "kind": need.kind.value,
        "unit": need.measure.unit,
        "units": need.units,
        "addresses": need.addresses,
        "prefix": need.prefix,
        "exists": str(need.exists) if need.exists else None,
        "capacity": need.capacity,
        "fits": need.fits,
        "parts": [
            {"what": part.what, "count": part.count, "each": part.each, "units": part.units, "rule": part.rule.id}
            for part in need.parts
        ],
    }


def _moment(moment: Scenario, needs: Sequence[Need], plan: Plan) -> Document:
    return {
        "moment": moment.name,
        "nodes": moment.nodes(plan.cluster),
        "planned": moment.name == planned(plan.cluster).name,
        "needs": {need.name: {"units": need.units, "prefix": need.prefix, "fits": need.fits} for need in needs},
    }


def _placement(placement: Placement) -> Document:
    return {
        "name": placement.wanted.name,
        "role": placement.wanted.role.value,
        "length": placement.wanted.bits,
        "prefix": str(placement.prefix) if placement.prefix else None,
        "block": str(placement.block) if placement.block else None,
        "largest_free": str(placement.largest) if placement.largest else None,
        "in_the_way": [str(item) for item in placement.obstacles],
    }


def _ceiling(ceiling: Ceiling) -> Document:
    return {
        **_gauge(ceiling.gauge),
        "nodes": ceiling.nodes,
        "peak_nodes": ceiling.peak,
        "pods": ceiling.pods,
    }


def _gauge(gauge: Gauge) -> Document:
    return {
        "limit": gauge.name,
        "capacity": gauge.capacity,
        "unit": gauge.unit,
        "if_exceeded": gauge.severity.value,
        **_rule(gauge.rule),
    }


def _what_if(answer: WhatIf) -> Document:
    return {
        "growth": str(answer.growth),
        "nodes": answer.cluster.nodes,
        "peak_nodes": planned(answer.cluster).nodes(answer.cluster),
        "pods": answer.cluster.pods,
        "needs": {need.name: {"units": need.units, "prefix": need.prefix} for need in answer.needs},
        "exceeds": [_gauge(gauge) for gauge in answer.exceeds],
    }


def exclusions(plan: Plan) -> list[Exclusion]:
    """Return the exclusions that concern the cluster."""
    has_pod_range = plan.cluster.variant.pods.has_pod_range
    managed = any(item.role is Role.MANAGED_VNET for item in overlap.ranges(plan.cluster))
    return [
        each
        for each in overlap.EXCLUSIONS
        if (has_pod_range or each.one is not Role.POD_RANGE) and (managed or Role.MANAGED_VNET not in each.others)
    ]


def _exclusions(plan: Plan) -> list[Document]:
    known = (*overlap.ranges(plan.cluster), *_placed(plan))
    return [_exclusion(each, known) for each in exclusions(plan)]


def _placed(plan: Plan) -> list[NamedRange]:
    return [NamedRange(each.wanted.role, each.wanted.name, each.prefix) for each in plan.placements if each.prefix]


def _exclusion(exclusion: Exclusion, known: Sequence[NamedRange]) -> Document:
    return {
        "range": exclusion.one.value,
        "ranges": [str(item.prefix) for item in known if item.role is exclusion.one],
        "must_avoid": [role.value for role in exclusion.others],
        "known": [str(item) for item in known if item.role in exclusion.others],
        "if_broken": exclusion.severity.value,
        **_rule(exclusion.rule),
    }


def _finding(finding: Finding) -> Document:
    return {"severity": finding.severity.value, "message": finding.message, **_rule(finding.rule)}


def _rule(rule: Rule) -> Document:
    return {
        "rule": rule.id,
        "section": rule.section,
        "source": rule.source,
        "evidence": rule.evidence,
        "verify": rule.verify,
    }
