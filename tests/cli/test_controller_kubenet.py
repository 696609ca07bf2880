"""`unipam controller --kubenet`: what it refuses before it begins, and its dry run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.cli.test_cluster import NODE, lists, server
from tests.cli.test_schemas import require_described
from tests.clients.fake_api_server import FakeApiServer
from tests.dialects.kubenet.nodes import route
from tests.fakes.azure import azure, resource_id
from tests.real.kubenet import environment

from unipam.cli.main import unipam

__all__ = ["lists", "server"]
GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
TABLE, SUBNET = f"{GROUP}/routeTables/rt", f"{GROUP}/virtualNetworks/v/subnets/nodes"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--kubenet needs --route-table"),
        (["--route-table", "rt"], "--route-table 'rt' is no such id: /subscriptions/ID/resourceGroups/GROUP/"),
        (["--route-table", SUBNET], f"--route-table '{SUBNET}' is no such id"),
        (["--route-table", f"{TABLE}/routes/r"], "is no such id"),
        (["--route-table", TABLE, "--node-subnet", "nodes"], "--node-subnet 'nodes' is no such id"),
        (["--route-table", TABLE, "--node-subnet", TABLE], "is no such id"),
        (["--route-table", TABLE.upper(), "--node-subnet", SUBNET.lower()], "Must specify --cluster-cidr"),
    ],
)
def test_an_id_of_something_else_is_refused(given: list[str], said: str) -> None:
    """A subnet in a table's place would be written to; one that is none would hide what the ranges overlap."""
    ended = CliRunner().invoke(unipam, ["controller", "--kubenet", "--listen", "", *given])
    assert ended.exit_code != 0
    assert said in f"{ended.output}{ended.exception}"


def test_k28_a_dry_run_says_each_difference_and_sends_nothing(
    server: FakeApiServer, lists: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K28: a node that would get a range, a hop that would change, a route that would go; no request that writes."""
    addresses = [{"type": "InternalIP", "address": "10.240.0.4"}]
    lists["nodes"] = [{**NODE, "status": {"addresses": addresses}}, {"metadata": {"name": "n1"}}]
    with azure(tmp_path) as fake:
        table = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
        left = route("aks-np-1-vmss00000z", "10.244.9.0/24", "10.1.0.20")
        mine = route("mine", "0.0.0.0/0", "10.9.9.9")
        fake.arm.put(table, {"routes": [mine, left, route("n0", "10.244.0.0/24", "10.240.0.99")]})
        for name, value in environment(fake).items():
            monkeypatch.setenv(name, value)
        given = ["--kubeconfig", str(server.kubeconfig), "--cluster-cidr", "10.244.0.0/16", "--route-table", table]
        ended = CliRunner().invoke(unipam, ["controller", "--kubenet", "--dry-run", "-o", "json", *given])
        assert ended.exit_code == 0, ended.output
        assert {call.method for call in fake.calls if "/routeTables/" in call.path} == {"GET"}
    document = json.loads(ended.stdout)
    require_described(document)
    assert [tuple(each.values()) for each in document["items"]] == [
        ("n1", "give range", "10.244.1.0/24", "", ""),
        ("aks-np-1-vmss00000z", "remove route", "aks-np-1-vmss00000z", "10.244.9.0/24 by 10.1.0.20", ""),
        ("n0", "change route", "n0", "10.244.0.0/24 by 10.240.0.99", "10.244.0.0/24 by 10.240.0.4"),
        ("n1", "no route", "it has no internal IPv4 address that its route could name", "", ""),
    ]
    assert {asked.method for asked in server.asked} == {"GET"}
