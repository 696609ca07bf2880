"""One look at a whole Azure: networks, endpoints, subscriptions, and what becomes of what cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.clients.azure.conftest import HandedToken, SetClock
from tests.fakes.azure import FakeAzure, resource_id

from unipam.addr.prefix import parse_prefix
from unipam.clients.azure.read.networks import prefixes
from unipam.clients.azure.read.reader import Reader
from unipam.clients.azure.settings import Settings
from unipam.model.cloud import CloudNetwork, Peering, Snapshot
from unipam.model.errors import SourceFailed


@pytest.fixture
def reader(fake: FakeAzure, settings: Settings, clock: SetClock) -> Iterator[Reader]:
    made = Reader(settings, HandedToken(fake.entra.token(fake.base, fake.entra.principal)), clock.time, lambda: 5000.0)
    with closing(made):
        yield made


def network(snapshot: Snapshot, resource: str) -> CloudNetwork:
    found = snapshot.network(resource)
    assert found is not None
    return found


def test_a_network_with_everything(fake: FakeAzure, reader: Reader) -> None:
    s = fake.subscribe("prod")
    spoke = fake.vnet(s, "spoke", "10.1.0.0/16", "fd00:1::/48")
    properties = {
        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
        "subnets": [
            {"name": "plain", "properties": {"addressPrefix": "10.0.0.0/24", "ipConfigurations": [{"id": "/x"}] * 3}},
            {"name": "GatewaySubnet", "properties": {"addressPrefixes": ["10.0.1.0/27", "fd00::/64"]}},
            {"name": "AzureBastionSubnet", "properties": {"addressPrefix": "10.0.2.0/26"}},
            {"name": "azurefirewallsubnet", "properties": {"addressPrefix": "10.0.3.0/26"}},
            {"name": "ingress", "properties": {"addressPrefix": "10.0.4.0/24",
                                               "applicationGatewayIPConfigurations": [{"id": "/g"}]}},
            {"name": "unset", "properties": {}},
        ],
        "virtualNetworkPeerings": [
            {"name": "to-spoke", "properties": {"remoteVirtualNetwork": {"id": spoke.upper()},
                                                "remoteAddressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
                                                "peeringState": "Connected"}},
        ],
    }  # fmt: skip
    hub = fake.arm.put(fake.vnet_id(s, "hub"), properties, tags={"x-Ipam-Res-Id": " a , b,a"})
    snapshot = reader.read(Snapshot())
    seen = network(snapshot, hub.upper())
    assert (seen.name, seen.kind, seen.resource_group, seen.subscription) == ("hub", "vnet", "rg1", s)
    assert {x.name: ([str(p) for p in x.prefixes], x.used, x.kind) for x in seen.subnets} == {
        "plain": (["10.0.0.0/24"], 8, None),
        "GatewaySubnet": (["10.0.1.0/27", "fd00::/64"], 5, "VGW"),
        "AzureBastionSubnet": (["10.0.2.0/26"], 5, "BAS"),
        "azurefirewallsubnet": (["10.0.3.0/26"], 5, "AFW"),
        "ingress": (["10.0.4.0/24"], 5, "AGW"),
        "unset": ([], 5, None),
    }
    assert seen.peerings == (Peering("to-spoke", spoke.upper(), "Connected", (parse_prefix("10.1.0.0/16"),)),)
    assert seen.reservations == ("a", "b")
    assert [str(p) for p in network(snapshot, spoke).prefixes] == ["10.1.0.0/16", "fd00:1::/48"]
    assert (snapshot.taken, snapshot.problems) == (5000.0, ())


def test_a_hub_with_its_connections(fake: FakeAzure, reader: Reader) -> None:
    s = fake.subscribe()
    hub = resource_id(s, "Microsoft.Network/virtualHubs/hub1")
    wan = resource_id(s, "Microsoft.Network/virtualWans/wan1")
    spoke = fake.vnet(s, "spoke", "10.1.0.0/16")
    fake.arm.put(hub, {"addressPrefix": "10.10.1.0/24", "virtualWan": {"id": wan}}, tags={"ipam-res-id": "r"})
    fake.arm.put(f"{hub}/hubVirtualNetworkConnections/c1", {"remoteVirtualNetwork": {"id": spoke}})
    routing = resource_id(s, "Microsoft.Network/virtualHubs/route-server")
    fake.arm.put(routing, {"addressPrefix": "10.10.2.0/24"}, kind="RouteServer")
    snapshot = reader.read(Snapshot())
    seen = network(snapshot, hub)
    assert (seen.kind, seen.vwan_name, seen.vwan_id, seen.reservations) == ("vhub", "wan1", wan, ("r",))
    assert seen.peerings == (Peering("c1", spoke, "Connected"),)
    assert snapshot.network(routing) is None, "a route server is no hub of a virtual WAN"


def test_connections_that_cannot_be_read_stay_as_known(fake: FakeAzure, reader: Reader) -> None:
    s = fake.subscribe()
    hub = fake.arm.put(resource_id(s, "Microsoft.Network/virtualHubs/hub1"), {"addressPrefix": "10.10.1.0/24"})
    fake.arm.put(f"{hub}/hubVirtualNetworkConnections/c1", {"remoteVirtualNetwork": {"id": "/far"}})
    before = reader.read(Snapshot())
    fake.say("hubVirtualNetworkConnections", 403, {"error": {"code": "AuthorizationFailed", "message": "no"}})
    after = reader.read(before)
    assert network(after, hub).peerings == (Peering("c1", "/far", "Connected"),)
    assert after.problems == (
        f"connections of hub1: Azure refused GET {hub}/hubVirtualNetworkConnections: 403 AuthorizationFailed: no",
    )


def test_all_subnets_of_a_network_that_has_more_than_resource_graph_tells(fake: FakeAzure, reader: Reader) -> None:
    s = fake.subscribe()
    subnets = {f"s{n:04}": f"10.{n // 256}.{n % 256}.0/24" for n in range(2100)}
    large = fake.vnet(s, "large", "10.0.0.0/8", subnets=subnets)
    fake.arm.page = 500
    seen = network(reader.read(Snapshot()), large)
    assert {(x.name, str(x.prefixes[0]), x.used) for x in seen.subnets} == {(n, p, 5) for n, p in subnets.items()}
    assert len(fake.asked("large/subnets")) == 5


def test_subscriptions_as_they_are_described(fake: FakeAzure, reader: Reader) -> None:
    quotas = {"ea": "EnterpriseAgreement", "dev": "MSDNDevTest", "pay": "PayAsYouGo", "ms": "Internal", "odd": "Odd"}
    for name, quota in quotas.items():
        fake.subscribe(name, quota=f"{quota}_2014-09-01")
    fake.subscribe("gone", state="Deleted")
    fake.subscriptions[0]["managementGroup"] = {"name": "mg1", "displayName": "Group One"}
    fake.arm.page = 2
    found = reader.read(Snapshot()).subscriptions
    assert [(each.name, each.kind, each.management_group_name) for each in found] == [
        ("ea", "Enterprise Agreement", "Group One"), ("dev", "Dev/Test", "Tenant Root Group"),
        ("pay", "PAYGO", "Tenant Root Group"), ("ms", "Microsoft Internal", "Tenant Root Group"),
        ("odd", "Unknown", "Tenant Root Group"),
    ]  # fmt: skip


def test_many_subscriptions_are_asked_about_in_batches(fake: FakeAzure, reader: Reader) -> None:
    ids = [fake.subscribe(f"s{n}") for n in range(230)]
    for n, each in enumerate(ids):
        fake.vnet(each, f"v{n}", "10.0.0.0/16")
    snapshot = reader.read(Snapshot())
    assert len(snapshot.networks) == len(snapshot.subscriptions) == 230
    assert {len(call.json["subscriptions"]) for call in fake.asked("resourcegraph")} == {100, 30}


def test_without_any_right_nothing_is_seen_and_it_is_said_why(fake: FakeAzure, reader: Reader) -> None:
    snapshot = reader.read(Snapshot())
    assert (dict(snapshot.networks), snapshot.subscriptions, snapshot.taken) == ({}, (), 5000.0)
    assert "Reader" in snapshot.problems[0]


def test_what_could_not_be_read_is_as_it_was_and_out_of_sight(fake: FakeAzure, reader: Reader) -> None:
    ids = [fake.subscribe(f"s{n}") for n in range(120)]
    first, last = fake.vnet(ids[0], "first", "10.0.0.0/16"), fake.vnet(ids[-1], "last", "10.1.0.0/16")
    before = reader.read(Snapshot())
    fake.arm.drop(first)
    fake.arm.drop(last)
    fake.vnet(ids[-1], "new", "10.2.0.0/16")
    fake.say(f'"subscriptions": ["{ids[100]}"', 403, {"error": {"code": "AccessDenied", "message": "no"}}, times=13)
    after = reader.read(before)
    assert {n.name for n in after.networks.values()} == {"last"}, "gone and known to be, kept, and not seen yet"
    assert after.sees(ids[0])
    assert not after.sees(ids[-1])
    assert any("20 subscriptions" in problem for problem in after.problems)


def test_what_is_kept_is_kept_for_as_long_as_it_takes(fake: FakeAzure, reader: Reader) -> None:
    ids = [fake.subscribe(f"s{n}") for n in range(101)]
    fake.vnet(ids[-1], "last", "10.1.0.0/16")
    snapshot = reader.read(Snapshot())
    fake.say(f'"subscriptions": ["{ids[100]}"', 500, times=10_000)
    for _ in range(3):
        snapshot = reader.read(snapshot)
        assert [n.name for n in snapshot.networks.values()] == ["last"]
        assert not snapshot.sees(ids[-1])


@pytest.mark.parametrize("row", [{"id": 7}, {"name": "no id", "prefixes": "10.0.0.0/8"}, "text", None])
def test_one_row_that_makes_no_sense_takes_nothing_away(fake: FakeAzure, reader: Reader, row: object) -> None:
    s = fake.subscribe()
    fake.vnet(fake.subscribe("second"), "v", "10.0.0.0/16")
    before = reader.read(Snapshot())
    fake.say("subnet_count", 200, {"data": [row], "count": 1, "totalRecords": 1})
    with pytest.raises(SourceFailed, match="is not what it should be"):
        reader.read(before)
    assert reader.read(before).sees(s)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (None, []),
        (["10.0.0.0/8", "fd00::/48"], ["10.0.0.0/8", "fd00::/48"]),
        (["10.0.0.5/24"], ["10.0.0.0/24"]),
        (["", "Internet", "10.0.0.0/33", "10.0.0.0/24"], ["10.0.0.0/24"]),
    ],
)
def test_prefixes_as_azure_writes_them(texts: list[str] | None, expected: list[str]) -> None:
    assert [str(prefix) for prefix in prefixes(texts)] == expected


def test_when_nothing_can_be_read_there_is_no_snapshot(fake: FakeAzure, reader: Reader) -> None:
    fake.subscribe()
    fake.say("resourcegraph", 403, {"error": {"code": "AccessDenied", "message": "not you"}}, times=100)
    with pytest.raises(SourceFailed, match="not you"):
        reader.read(Snapshot())


def test_a_subscription_that_may_not_be_read_any_more_is_out_of_sight(fake: FakeAzure, reader: Reader) -> None:
    mine, lost = fake.subscribe("mine"), fake.subscribe("lost")
    fake.vnet(lost, "v", "10.0.0.0/16")
    before = reader.read(Snapshot())
    fake.revoke(fake.entra.principal, lost)
    after = reader.read(before)
    assert (before.sees(lost), after.sees(lost), after.sees(mine)) == (True, False, True)
    assert dict(after.networks) == {}


def test_throttled_right_through_is_told_with_the_pause(fake: FakeAzure, reader: Reader) -> None:
    fake.subscribe()
    fake.throttle("resourcegraph", "900", times=100)
    with pytest.raises(SourceFailed) as caught:
        reader.read(Snapshot())
    assert caught.value.facts["retry_after"] == pytest.approx(900)
    assert len(fake.asked("resourcegraph")) <= 4, "it went on asking within the pause"


def test_few_requests_are_on_their_way_at_once(fake: FakeAzure, reader: Reader) -> None:
    for n in range(300):
        fake.subscribe(f"s{n}")
    serve, lock, now, most = fake.graph.serve, threading.Lock(), 0, 0

    def counted(*args: object) -> object:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return serve(*args)  # type: ignore[arg-type]
        finally:
            with lock:
                now -= 1

    fake.graph.serve = counted  # type: ignore[method-assign, assignment]
    reader.read(Snapshot())
    assert 1 <= most <= 4
