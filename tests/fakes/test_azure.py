"""The fake Azure, judged by Azure's own SDK: what this cannot tell from the real one is good enough to test against."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.network.models import (
    AddressSpace,
    Subnet,
    SubnetPropertiesFormat,
    VirtualNetwork,
    VirtualNetworkPropertiesFormat,
)
from tests.fakes.azure import FakeAzure, azure
from tests.fakes.kql import BadQuery, run

from unipam.clients.azure.settings import Settings
from unipam.clients.azure.source import Azure
from unipam.model.cloud import Snapshot
from unipam.model.errors import SourceFailed


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAzure]:
    with azure(tmp_path) as running:
        yield running


@pytest.fixture
def subscription(fake: FakeAzure) -> str:
    return fake.subscribe("prod")


@pytest.fixture
def sdk(fake: FakeAzure, subscription: str) -> Iterator[NetworkManagementClient]:
    """Azure's own client, signed in by azure-identity."""
    entra = fake.entra
    where = {"authority": fake.base, "disable_instance_discovery": True, "connection_verify": fake.ca}
    with (
        closing(ClientSecretCredential(entra.tenant, entra.client, entra.secret, **where)) as credential,
        closing(
            NetworkManagementClient(
                credential,
                subscription,
                base_url=fake.base,
                credential_scopes=[f"{fake.base}/.default"],
                connection_verify=fake.ca,
                polling_interval=0,
            )
        ) as client,
    ):
        yield client


def vnet(*prefixes: str, tags: dict[str, str] | None = None, **subnets: str) -> VirtualNetwork:
    inner = [Subnet(name=n, properties=SubnetPropertiesFormat(address_prefix=p)) for n, p in subnets.items()]
    space = AddressSpace(address_prefixes=list(prefixes))
    properties = VirtualNetworkPropertiesFormat(address_space=space, subnets=inner)
    return VirtualNetwork(location="westeurope", tags=tags, properties=properties)


def code(error: HttpResponseError) -> tuple[int | None, str | None]:
    """Status and Azure's own code."""
    assert error.error is not None
    return error.status_code, error.error.code


def make(sdk: NetworkManagementClient, name: str, network: VirtualNetwork) -> Any:
    return sdk.virtual_networks.begin_create_or_update("rg1", name, network)


def test_a_network_is_made_in_time_and_is_there_at_once(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    poller = make(sdk, "v1", vnet("10.0.0.0/16", a="10.0.0.0/24"))
    made = poller.result()
    assert (made.provisioning_state, made.subnets[0].address_prefix) == ("Succeeded", "10.0.0.0/24")
    assert made.subnets[0].id == f"{made.id}/subnets/a"
    assert len(fake.asked("/operations/")) == fake.arm.polls
    assert sdk.virtual_networks.get("RG1", "V1").etag == made.etag


def test_it_is_visible_while_it_is_made(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    fake.arm.polls = 10**9
    sdk.virtual_networks.begin_create_or_update("rg1", "v1", vnet("10.0.0.0/16"), polling=False)
    assert sdk.virtual_networks.get("rg1", "v1").provisioning_state == "Updating"


def test_a_failure_comes_late(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    fake.arm.fail_next = ("NetcfgSubnetRangesOverlap", "Subnet 'a' is not valid because its range overlaps.")
    poller = make(sdk, "v1", vnet("10.0.0.0/16"))
    with pytest.raises(HttpResponseError, match="NetcfgSubnetRangesOverlap"):
        poller.result()
    assert sdk.virtual_networks.get("rg1", "v1").provisioning_state == "Failed"


def test_a_network_is_removed_in_time(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    make(sdk, "v1", vnet("10.0.0.0/16")).result()
    sdk.virtual_networks.begin_delete("rg1", "v1").result()
    with pytest.raises(ResourceNotFoundError, match="ResourceNotFound"):
        sdk.virtual_networks.get("rg1", "v1")
    sdk.virtual_networks.begin_delete("rg1", "v1").result()  # what is not there is no error


def test_one_write_at_a_time_in_a_network(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    fake.arm.polls = 10**9
    sdk.virtual_networks.begin_create_or_update("rg1", "v1", vnet("10.0.0.0/16"), polling=False)
    with pytest.raises(HttpResponseError) as caught:
        sdk.virtual_networks.begin_create_or_update("rg1", "v1", vnet("10.0.0.0/15"), polling=False, retry_total=0)
    assert code(caught.value) == (429, "AnotherOperationInProgress")
    sdk.virtual_networks.begin_create_or_update("rg1", "v2", vnet("10.9.0.0/16"), polling=False)


def test_an_etag_that_is_no_longer_it_is_refused(sdk: NetworkManagementClient) -> None:
    first = make(sdk, "v1", vnet("10.0.0.0/16")).result()
    make(sdk, "v1", vnet("10.0.0.0/15")).result()
    stale = {"If-Match": first.etag}
    with pytest.raises(HttpResponseError) as caught:
        sdk.virtual_networks.begin_create_or_update("rg1", "v1", vnet("10.0.0.0/14"), headers=stale, polling=False)
    assert code(caught.value) == (412, "PreconditionFailed")


def test_lists_come_in_pages(fake: FakeAzure, sdk: NetworkManagementClient, subscription: str) -> None:
    for number in range(5):
        fake.vnet(subscription, f"v{number}", f"10.{number}.0.0/16", subnets={"a": f"10.{number}.0.0/24"})
    fake.arm.page = 2
    assert [each.name for each in sdk.virtual_networks.list("rg1")] == [f"v{n}" for n in range(5)]
    assert [each.name for each in sdk.subnets.list("rg1", "v3")] == ["a"]


def test_throttling_is_obeyed_by_the_sdk_too(fake: FakeAzure, sdk: NetworkManagementClient, subscription: str) -> None:
    fake.vnet(subscription, "v1", "10.0.0.0/16")
    fake.throttle("virtualNetworks", "0", times=2)
    assert sdk.virtual_networks.get("rg1", "v1").name == "v1"
    assert len(fake.asked("virtualNetworks/v1")) == 3


def test_a_subscription_of_somebody_else_is_not_shown(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    fake.revoke(fake.entra.principal, *[each["subscriptionId"] for each in fake.subscriptions])
    with pytest.raises(HttpResponseError, match="AuthorizationFailed"):
        list(sdk.virtual_networks.list("rg1"))


def test_what_the_sdk_made_is_what_the_register_sees(fake: FakeAzure, sdk: NetworkManagementClient) -> None:
    fake.arm.stale = True
    made = make(sdk, "v1", vnet("10.0.0.0/16", tags={"X-IPAM-RES-ID": "r1"}, a="10.0.0.0/24")).result()
    entra = fake.entra
    settings = Settings(
        entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca
    )
    with closing(Azure(settings)) as source:
        assert dict(source.read(Snapshot()).networks) == {}, "Resource Graph lags behind"
        fake.arm.catch_up()
        before = time.time()
        seen = source.read(Snapshot())
        found = seen.network(made.id)
        assert found is not None
        assert (found.reservations, found.subnets[0].id) == (("r1",), made.subnets[0].id)
        assert seen.taken >= before
        fake.grant("bob", fake.subscribe("bobs"))
        assert [each.name for each in source.read_on_behalf_of(entra.user_token("bob"), Snapshot()).subscriptions] == [
            "bobs"
        ]
    with closing(Azure(settings._replace(secret=""))) as machine, pytest.raises(SourceFailed, match="managed identity"):
        machine.read_on_behalf_of(entra.user_token("bob"), Snapshot())


ROWS: dict[str, list[dict[str, Any]]] = {
    "resources": [{"id": "/b", "kind": "", "n": 2, "list": [1, 2]}, {"id": "/a", "kind": None, "n": None, "list": None}]
}


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("resources\n| where id =~ '/B'\n| project id", [{"id": "/b"}]),
        ("resources\n| where isempty(kind) and n > 1\n| project x = n", [{"x": 2}]),
        ("resources\n| mv-expand one = list\n| project id, one\n| order by id asc, one asc",
         [{"id": "/a", "one": None}, {"id": "/b", "one": 1}, {"id": "/b", "one": 2}]),
        ("resources\n| mv-expand one = list limit 1\n| where isnotnull(one)\n| project one", [{"one": 1}]),
        ("resources\n| where id in~ ('/A', '/x')\n| extend id = 'new', was = id\n| project id, was",
         [{"id": "new", "was": "/a"}]),
        ("resources\n| project s = coalesce(tostring(n), kind, 'none'), c = array_length(list)",
         [{"s": "2", "c": 2}, {"s": "none", "c": None}]),
    ],
)  # fmt: skip
def test_the_query_language_means_what_kusto_means(query: str, rows: list[dict[str, Any]]) -> None:
    assert run(query, ROWS) == rows


@pytest.mark.parametrize(
    "query",
    [
        "tables\n| project id", "resources\n| summarize count()", "resources\n| project colour", "resources\n| where",
        "resources\n| where f(id)", "resources\n| where id = '/a'", "resources\n| project id asc",
        "resources\n| order by id desc", "resources\n| mv-expand list", "resources\n| where id =~ \"x\"",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(BadQuery):
        run(query, ROWS)
