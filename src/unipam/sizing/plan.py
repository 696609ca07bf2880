"""The planner: a cluster in, a plan out. Not here: input (`document`), output (`report`), and the rules themselves."""

from __future__ import annotations

from dataclasses import dataclass

from unipam.sizing import checks, headroom
from unipam.sizing.arithmetic import Share
from unipam.sizing.checks.capacity import RECOMMENDED
from unipam.sizing.cluster import BLUE_GREEN, STEADY, Cluster, Scenario, planned
from unipam.sizing.findings import Finding, Severity
from unipam.sizing.headroom import Ceiling, Gauge
from unipam.sizing.needs import Need, needs
from unipam.sizing.placement import Placement, place, vnet_bits


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The cluster with `growth` in every pool: what it needs, and which limits of today's plan it `exceeds`."""

    growth: Share
    cluster: Cluster
    needs: tuple[Need, ...]
    exceeds: tuple[Gauge, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to a cluster.

    `needs`: at the planned peak. `moments`: the same at other moments. `vnet_bits`: one network for all subnets.
    `ceilings`: if all pools grow, first hit first. `pool_ceilings`: by pool, if it grows alone.
    """

    cluster: Cluster
    needs: tuple[Need, ...]
    moments: tuple[tuple[Scenario, tuple[Need, ...]], ...]
    vnet_bits: int | None
    placements: tuple[Placement, ...]
    ceilings: tuple[Ceiling, ...]
    pool_ceilings: tuple[tuple[str, Ceiling | None], ...]
    what_if: tuple[WhatIf, ...]
    findings: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """Return whether no finding is an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def plan(cluster: Cluster) -> Plan:
    """Plan a cluster: sizes, places, headroom, what-ifs, and every finding."""
    moments = {moment.name: moment for moment in (STEADY, planned(cluster), RECOMMENDED, BLUE_GREEN)}
    return Plan(
        cluster=cluster,
        needs=needs(cluster, planned(cluster)),
        moments=tuple((moment, needs(cluster, moment)) for moment in moments.values()),
        vnet_bits=vnet_bits(cluster),
        placements=place(cluster),
        ceilings=headroom.ceilings(cluster),
        pool_ceilings=tuple((pool.name, headroom.pool_ceiling(cluster, pool)) for pool in cluster.pools),
        what_if=tuple(_what_if(cluster, growth) for growth in cluster.what_if),
        findings=checks.run(cluster),
    )


def _what_if(cluster: Cluster, growth: Share) -> WhatIf:
    grown = cluster.grown(growth)
    return WhatIf(growth, grown, needs(grown, planned(grown)), headroom.exceeded(cluster, growth))
