"""The golden vectors of section 3 of the AKS sizing specification, all of them, one test each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unipam.addr.fit import first_fit
from unipam.addr.prefix import line_length, parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.sizing import arithmetic, checks, headroom, limits
from unipam.sizing.arithmetic import NODE_RANGES, SUBNET, Percent
from unipam.sizing.cluster import STEADY, UPGRADE, Cluster, Networks, NodePool, Subnet
from unipam.sizing.document import read
from unipam.sizing.findings import Finding, Severity
from unipam.sizing.needs import API_SERVER, POD_RANGE, Need, needs
from unipam.sizing.variants import VARIANTS

Vector = dict[str, Any]
VECTORS: list[Vector] = json.loads(Path(__file__).with_name("vectors.json").read_text())


def pool(n: int, s: int, m: int, name: str = "pool0") -> NodePool:
    return NodePool(name=name, nodes=n, max_pods=m, max_surge=s, max_unavailable=1, system=False)


def cluster(variant: str, pools: list[dict[str, int]], networks: Networks | None = None) -> Cluster:
    made = tuple(pool(each["n"], each["s"], each["m"], f"pool{index}") for index, each in enumerate(pools))
    return Cluster(name="golden", variant=VARIANTS[variant], pools=made, networks=networks or Networks())


def with_subnet(variant: str, pools: list[dict[str, int]], prefix: str, used: int = 0) -> Cluster:
    return cluster(variant, pools, Networks(subnets={"nodes": Subnet(parse_prefix(prefix), used)}))


def need_of(planned: Cluster, name: str = "nodes", moment: Any = UPGRADE) -> Need:
    return next(need for need in needs(planned, moment) if need.name == name)


def errors_about(planned: Cluster, name: str) -> list[Finding]:
    """Errors of the fit check about one range."""
    return [each for each in checks.capacity.fits(planned) if each.severity is Severity.ERROR and name in each.message]


def need(vector: Vector) -> None:
    found = need_of(cluster(vector["variant"], vector["pools"]))
    assert (found.addresses, found.prefix) == (vector["need"], vector["prefix"])


def capacity(vector: Vector) -> None:
    planned = with_subnet(vector["variant"], [{"n": 1, "s": 0, "m": vector["m"]}], f"10.0.0.0/{vector['prefix']}")
    ceiling = next(each for each in headroom.ceilings(planned) if each.gauge.name.startswith("node subnet nodes"))
    assert (ceiling.nodes, ceiling.pods) == (vector["nodes"], vector["pods"])


def room(vector: Vector) -> None:
    assert SUBNET.capacity(vector["prefix"]) == vector["usable"]
    for nodes, pods in zip(vector["nodes"], vector["pods"], strict=True):
        pools = [{"n": nodes, "s": vector["s"], "m": vector["m"]}]
        planned = with_subnet(vector["variant"], pools, f"10.0.0.0/{vector['prefix']}")
        assert need_of(planned).fits
        assert planned.pods == pods


def blocks(vector: Vector) -> None:
    assert arithmetic.static_blocks(vector["m"]) == vector["blocks"]
    assert arithmetic.static_pod_addresses(vector["m"]) == vector["pod_ips"]
    assert vector["pod_ips"] - vector["m"] == vector["waste"]


def surge(vector: Vector) -> None:
    text = vector["surge"]
    share = Percent(int(text[:-1])) if isinstance(text, str) else text
    each = [arithmetic.surge(count, share) for count in vector["counts"]]
    assert each == [vector["each"]] * len(each)
    assert (sum(each), sum(each) + sum(vector["counts"])) == (vector["extra"], vector["peak"])


def node_ranges(vector: Vector) -> None:
    whole, taken = parse_prefix(vector["pod_cidr"]), RangeSet()
    for expected in vector["first"]:
        cut = first_fit(taken.gaps(whole.first, whole.last), line_length(limits.NODE_RANGE.value, 4))
        assert cut is not None
        assert str(cut) == expected
        taken.add(cut.first, cut.last)


def expand(vector: Vector) -> None:
    networks = {"pod_cidr_now": vector["from"], "pod_cidr": vector["to"]}
    document = {"variant": "overlay", "pools": [{"name": "system", "nodes": 3}], "networks": networks}
    assert not [each for each in checks.run(read(document)) if each.severity is Severity.ERROR]
    document["networks"] = {"pod_cidr_now": vector["to"], "pod_cidr": vector["from"]}
    assert [each.rule.id for each in checks.run(read(document)) if each.severity is Severity.ERROR] == ["E3"]
    assert [NODE_RANGES.capacity(parse_prefix(vector[key]).bits) for key in ("from", "to")] == vector["nodes"]


def least_nodes(vector: Vector) -> None:
    def refused(nodes: int) -> bool:
        return any(
            each.rule.id == "M4"
            for each in checks.pools.max_pods(cluster("overlay", [{"n": nodes, "s": 1, "m": vector["m"]}]))
        )

    assert refused(vector["nodes"] - 1)
    assert not refused(vector["nodes"])


def usable(vector: Vector) -> None:
    assert SUBNET.capacity(vector["prefix"]) == vector["usable"]


def api_server(vector: Vector) -> None:
    found = need_of(_with_api_server(vector["clusters"]), API_SERVER)
    assert (found.units, found.prefix) == (vector["need"], vector["prefix"])


def _with_api_server(clusters: int) -> Cluster:
    pools = [{"name": "system", "nodes": 3}]
    return read({"variant": "overlay", "pools": pools, "extras": {"api_server_clusters": clusters}})


def api_server_capacity(vector: Vector) -> None:
    for prefix, most in zip(vector["prefixes"], vector["clusters"], strict=True):
        assert need_of(_with_api_server(most), API_SERVER).prefix == prefix
        over = need_of(_with_api_server(most + 1), API_SERVER).prefix
        assert over is not None
        assert over < prefix


def batches(vector: Vector) -> None:
    held = [arithmetic.dynamic_hold(pods) - limits.CONTAINER_PRIMARY.value for pods in vector["pods"]]
    assert held == vector["batches"]


def ceiling(vector: Vector) -> None:
    planned = cluster(vector["variant"], [{"n": 1, "s": 0, "m": vector["m"]}])
    found = next(each for each in headroom.ceilings(planned) if each.gauge.rule.id == vector["rule"])
    assert found.nodes == vector["nodes"]


def nap_overlap(vector: Vector) -> None:
    for case in vector["cases"]:
        networks = {key: case[key] for key in ("pod_cidr", "service_cidr")} | {"subnets": {"nodes": case["subnet"]}}
        pools = [{"name": "system", "nodes": 3, "max": 5}]
        document = {"variant": "overlay", "pools": pools, "auto_provisioning": True, "networks": networks}
        found = [each for each in checks.run(read(document)) if each.rule.id == "O13"]
        assert bool(found) == case["conflict"], case
        assert all(each.severity is Severity.ERROR for each in found)


def reject(vector: Vector) -> None:
    planned = with_subnet(vector["variant"], vector["pools"], vector["subnet"])
    found = need_of(planned)
    assert (found.addresses, found.capacity, found.prefix) == (vector["need"], vector["have"], vector["prefix"])
    assert errors_about(planned, "node subnet nodes")


def pod_cidr(vector: Vector) -> None:
    sizes = [1000] * (vector["nodes"] // 1000) + [vector["nodes"] % 1000] * bool(vector["nodes"] % 1000)
    networks = Networks(pod_cidr=parse_prefix(vector["have"]))
    planned = cluster(vector["variant"], [{"n": size, "s": 0, "m": 250} for size in sizes], networks)
    found = need_of(planned, POD_RANGE)
    assert (found.addresses, found.prefix) == (vector["need"], vector["prefix"])
    assert found.measure.addresses(found.capacity or 0) == vector["have_addresses"]
    assert errors_about(planned, "pod range")


def pod_cidr_capacity(vector: Vector) -> None:
    assert NODE_RANGES.capacity(vector["prefix"]) == vector["nodes"]
    networks = Networks(pod_cidr=parse_prefix(f"10.244.0.0/{vector['prefix']}"))
    for nodes, refused in ((vector["nodes"], False), (vector["refuses"], True)):
        planned = cluster("kubenet", [{"n": nodes, "s": 0, "m": 110}], networks)
        assert bool(errors_about(planned, "pod range")) == refused


def surge_step(vector: Vector) -> None:
    before, after = (need_of(cluster(vector["variant"], [{"n": 3, "s": s, "m": vector["m"]}])).units for s in (0, 1))
    assert after - before == vector["asks"]


def scale_up(vector: Vector) -> None:
    most = vector["nodes"] + vector["asks"]
    pools = [{"name": "system", "nodes": vector["nodes"], "max": most, "max_surge": 1}]
    document = {"variant": vector["variant"], "pools": pools, "networks": {"subnets": {"nodes": vector["subnet"]}}}
    planned = read(document)
    assert need_of(planned, moment=STEADY).capacity == vector["nodes"] + vector["free"]
    assert errors_about(planned, "node subnet nodes")
    assert "P5" in {each.rule.id for each in checks.run(planned)}


def dynamic_batches(vector: Vector) -> None:
    batch = limits.BATCH.value
    whole = SUBNET.capacity(vector["prefix"]) // batch
    assert (whole, whole * batch) == (vector["batches"], vector["ips"])
    full_nodes, left = divmod(whole, -(-vector["m"] // batch))
    assert full_nodes * (vector["m"] - vector["host_network"]) + left * batch == vector["app_pods"]


def dynamic_hold(vector: Vector) -> None:
    assert arithmetic.dynamic_hold(vector["p"]) == vector["hold"]


def upgrade_fails(vector: Vector) -> None:
    pools = [{"n": vector["nodes"], "s": vector["s"], "m": vector["m"]}]
    planned = with_subnet(vector["variant"], pools, vector["subnet"])
    assert need_of(planned, moment=STEADY).units == vector["steady"]
    assert need_of(planned, moment=STEADY).fits
    assert (need_of(planned).units, need_of(planned).prefix) == (vector["need"], vector["prefix"])
    assert [each.rule.id for each in errors_about(planned, "node subnet nodes")] == ["U11"]


def full(vector: Vector) -> None:
    planned = with_subnet(vector["variant"], [{"n": 1, "s": 0, "m": 30}], vector["subnet"], vector["used"])
    assert need_of(planned).capacity == vector["used"]
    assert errors_about(planned, "node subnet nodes")


OPS: dict[str, Callable[[Vector], None]] = {
    each.__name__: each
    for each in (
        need, capacity, room, blocks, surge, node_ranges, expand, least_nodes, usable, api_server, api_server_capacity,
        batches, ceiling, nap_overlap, reject, pod_cidr, pod_cidr_capacity, surge_step, scale_up, dynamic_batches,
        dynamic_hold, upgrade_fails, full,
    )
}  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_golden_vector(vector: Vector) -> None:
    OPS[vector["op"]](vector)


def test_no_golden_vector_is_missing() -> None:
    ids = {vector["id"] for vector in VECTORS}
    assert ids == {f"G{number:02}" for number in range(1, 39)} | {"G33b"}
