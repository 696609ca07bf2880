"""`unipam cluster` against an API server that has two nodes of Cilium, or of kubenet."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.cli.test_schemas import require_described
from tests.clients.fake_api_server import Asked, FakeApiServer, Say, fake_api_server, status
from tests.dialects.cilium.test_nodes import captured, interface
from tests.dialects.kubenet.nodes import route
from tests.fakes.azure import FakeAzure, azure, resource_id
from tests.real.kubenet import environment

from unipam.cli.main import unipam
from unipam.controllers.health import Health, State
from unipam.model.errors import SourceFailed

NODE: dict[str, Any] = {
    "metadata": {"name": "n0", "uid": "u"},
    "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
    "status": {"conditions": [{"type": "NetworkUnavailable", "status": "False", "reason": "RouteCreated"}]},
}


@pytest.fixture
def lists() -> dict[str, list[Any]]:
    """What the API server has, by resource; what is not named is not known to it."""
    return {"nodes": [NODE, {"metadata": {"name": "n1"}}], "pods": []}


@pytest.fixture
def server(tmp_path: Path, lists: dict[str, list[Any]]) -> Iterator[FakeApiServer]:
    def answer(asked: Asked) -> Say:
        resource = asked.target.partition("?")[0].rpartition("/")[2]
        if resource not in lists:
            return status(404, "NotFound", "the server could not find the requested resource")
        return Say(200, {"metadata": {"resourceVersion": "1"}, "items": lists[resource]})

    with fake_api_server(tmp_path, answer) as made:
        yield made


@pytest.mark.parametrize("words", ["show", "check --cluster-cidr 10.0.0.0/16", "explain 10.244.0.7"])
def test_documents_are_what_their_schemas_say(server: FakeApiServer, words: str) -> None:
    require_described(json.loads(called(server, *words.split(), "-o", "json").stdout))


def called(server: FakeApiServer, *words: str) -> Result:
    return CliRunner().invoke(
        unipam, ["cluster", *words, "--kubeconfig", str(server.kubeconfig)], catch_exceptions=False
    )


def test_nodes_of_kubenet_are_shown(server: FakeApiServer) -> None:
    rows = json.loads(called(server, "show", "-o", "json").stdout)["items"]
    assert [(each["node"], each["ranges"], each["needs"], each["state"]) for each in rows] == [
        ("n0", "10.244.0.0/24", 0, "route created"),
        ("n1", "", 1, "no range yet"),
    ]


def test_what_another_plugin_says_of_the_network_is_no_route(
    server: FakeApiServer, lists: dict[str, list[Any]]
) -> None:
    condition = {"type": "NetworkUnavailable", "status": "False", "reason": "CalicoIsUp"}
    lists["nodes"] = [{**NODE, "status": {"conditions": [condition]}}]
    (row,) = json.loads(called(server, "show", "-o", "json").stdout)["items"]
    assert row["state"] == "CalicoIsUp"


def test_ranges_of_another_length_and_further_ones_are_checked_as_the_controller_gives_them(
    server: FakeApiServer, lists: dict[str, list[Any]]
) -> None:
    """With slots of /24, four nodes would have filled the range; and the fifth would have been outside."""
    ranges = [*(f"10.244.0.{64 * i}/26" for i in range(3)), "10.245.0.0/26"]
    lists["nodes"] = [{"metadata": {"name": f"n{i}"}, "spec": {"podCIDRs": [each]}} for i, each in enumerate(ranges)]
    given = ["--cluster-cidr", "10.244.0.0/24", "--further-cluster-cidr", "10.245.0.0/24"]
    assert called(server, "check", *given, "--node-cidr-mask-size", "26").stderr.strip() == "nothing is wrong"


def test_nodes_of_cilium_are_shown_and_checked(server: FakeApiServer, lists: dict[str, list[Any]]) -> None:
    lists |= {"nodes": [], "ciliumnodes": [captured("ciliumnode-2-first-pool.json"), captured("ciliumnode-403.json")]}
    first, second = json.loads(called(server, "show", "-o", "json").stdout)["items"]
    assert (first["has"], first["uses"], first["needs"], first["state"]) == (8, 0, 0, "complete")
    assert (second["has"], second["needs"], second["state"]) == (0, 8, "waits for 8")
    checked = called(server, "check")
    assert checked.exit_code == 1
    assert "node short" in checked.stdout
    lists["ciliumnodes"].pop()
    assert (called(server, "check").exit_code, called(server, "check").stderr.strip()) == (0, "nothing is wrong")


def test_what_a_node_waits_for_is_asked_of_the_controller(server: FakeApiServer, lists: dict[str, list[Any]]) -> None:
    lists |= {"nodes": [], "ciliumnodes": [captured("ciliumnode-403.json")]}
    machine = lists["ciliumnodes"][0]["spec"]["instance-id"]
    row = {
        "job": machine.upper(),
        "what": f"PUT {machine}",
        "why": "the budget of the subscription",
        "for": 3.5,
        "in": 0.2,
    }
    with contextlib.closing(Health("127.0.0.1:0", lambda: State("", leading=True), list, lambda: [row])) as health:
        shown = called(server, "show", "-o", "json", "--controller", f"127.0.0.1:{health.port}")
    (found,) = json.loads(shown.stdout)["items"]
    assert found["waits"] == f"PUT {machine}: the budget of the subscription, for 3.5 s, 0.2 s more"
    with pytest.raises(SourceFailed, match=r"the controller at 127\.0\.0\.1:1 does not tell what waits"):
        called(server, "show", "--controller", "127.0.0.1:1")


@pytest.mark.parametrize("at", ["127.0.0.1:abc", "http://127.0.0.1:9518", ":", "[::1", "127.0.0.1:99999", "." * 300])
def test_a_controller_that_is_nowhere_is_a_failure_in_one_line(server: FakeApiServer, at: str) -> None:
    with pytest.raises(SourceFailed, match="does not tell what waits"):
        called(server, "show", "--controller", at)


@pytest.mark.parametrize("body", ["[]", "null", "{}", '{"items": null}', '{"items": [1]}', '{"items": [{}]}', "hello"])
def test_another_server_in_the_controllers_place_is_a_failure_in_one_line(server: FakeApiServer, body: str) -> None:
    with answering(body) as at, pytest.raises(SourceFailed, match="does not tell what waits"):
        called(server, "show", "--controller", at)


@contextlib.contextmanager
def answering(body: str) -> Iterator[str]:
    """A server that says this whatever it is asked."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Answering) as other:
        threading.Thread(target=other.handle_request).start()
        yield f"127.0.0.1:{other.server_port}"


def test_an_address_and_a_node_are_explained(server: FakeApiServer, lists: dict[str, list[Any]]) -> None:
    lists["ciliumnodes"] = [captured("ciliumnode-3-eight-used.json")]
    address = next(iter(lists["ciliumnodes"][0]["status"]["ipam"]["used"]))
    rows = json.loads(called(server, "explain", address, "-o", "json").stdout)["items"]
    assert {"node": "aks-np0-vmss000000", "fact": "in the pool", "value": "yes"} in rows
    assert next(each["value"] for each in rows if each["fact"] == "used by").startswith("default/")
    assert "10.244.0.0/24" in called(server, "explain", "10.244.0.7").stdout
    assert "16 in its pool, 8 in use" in called(server, "explain", "aks-np0-vmss000000").stdout
    lists.pop("pods")
    assert "pods were not looked at" in called(server, "explain", address).stderr
    unknown = called(server, "explain", "10.9.9.9")
    assert unknown.exit_code == 1
    assert "no node is called '10.9.9.9' or has that address" in unknown.output


def test_pods_that_cilium_does_not_run_are_found(server: FakeApiServer, lists: dict[str, list[Any]]) -> None:
    document = captured("ciliumnode-2-first-pool.json")
    addresses = sorted(document["spec"]["ipam"]["pool"])
    spec = {"nodeName": document["metadata"]["name"]}
    lists |= {
        "nodes": [],
        "ciliumnodes": [document],
        "ciliumendpoints": [{"metadata": {"namespace": "a", "name": "p0"}}],
    }
    lists["pods"] = [
        {"metadata": {"namespace": "a", "name": f"p{i}"}, "spec": spec, "status": {"podIPs": [{"ip": addresses[i]}]}}
        for i in range(2)
    ]
    checked = called(server, "check", "-o", "json")
    (found,) = json.loads(checked.stdout)["items"]
    assert (found["kind"], found["way_out"]) == ("used by something else", "recreate a/p1")
    explained = json.loads(called(server, "explain", addresses[1], "-o", "json").stdout)["items"]
    assert {"node": spec["nodeName"], "fact": "pod", "value": "a/p1"} in explained
    assert "used by something else" in {each["fact"] for each in explained}


def test_an_address_is_explained_with_azure(
    server: FakeApiServer, lists: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three ways: the interface, the CiliumNode, its agent."""
    document = captured("ciliumnode-3-eight-used.json")
    name = document["metadata"]["name"]
    lists |= {"nodes": [], "ciliumnodes": [document]}
    made = interface(document)
    lost = made["properties"]["ipConfigurations"].pop()["properties"]["privateIPAddress"]
    subscription = made["id"].split("/")[2]
    with azure(tmp_path) as fake:
        fake.grant(fake.entra.principal, subscription)
        fake.arm.put(made["id"].partition("/virtualMachines/")[0], {}, sku={"capacity": 1})
        fake.arm.put(made["id"], made["properties"])
        sets = made["id"].partition("/aks-np0-vmss/")[0]
        fake.arm.put(f"{sets}/empty", {}, sku={"capacity": 0})
        fake.arm.put(f"{sets}/flexible", {"orchestrationMode": "Flexible"}, sku={"capacity": 1})
        fake.arm.put(f"{sets}/emptied", {}, sku={"capacity": 1})
        for each in ("empty", "flexible", "emptied"):
            fake.say(f"{each}/networkInterfaces", 404, {"error": {"code": "NotFound", "message": "gone"}}, times=100)
        for variable, value in {
            "AZURE_TENANT_ID": fake.entra.tenant, "AZURE_CLIENT_ID": fake.entra.client,
            "AZURE_CLIENT_SECRET": fake.entra.secret, "AZURE_AUTHORITY_HOST": fake.base,
            "UNIPAM_AZURE_ENDPOINT": fake.base, "UNIPAM_AZURE_CA_FILE": fake.ca,
        }.items():  # fmt: skip
            monkeypatch.setenv(variable, value)
        group = ("--azure-group", f"/subscriptions/{subscription}/resourceGroups/MC_example")
        facts = json.loads(called(server, "explain", lost, *group, "-o", "json").stdout)["items"]
        of_node = json.loads(called(server, "explain", name, *group, "-o", "json").stdout)["items"]
        checked = json.loads(called(server, "check", *group, "-o", "json").stdout)["items"]
    assert {"node": name, "fact": "in the pool", "value": "yes"} in facts
    assert {"node": name, "fact": "at Azure", "value": "no interface of this machine has it"} in facts
    assert "pool without interface" in {each["kind"] for each in checked}
    values = {each["fact"]: each["value"] for each in of_node}
    assert values["has"] == "16 in its pool, 8 in use"
    assert values["interface aks-nic"].startswith("15 addresses ready, 16 of 256 configurations")


def test_ranges_are_checked_where_the_clusters_is_named(server: FakeApiServer) -> None:
    checked = called(server, "check", "--cluster-cidr", "10.0.0.0/16", "-o", "json")
    assert checked.exit_code == 1
    assert [each["kind"] for each in json.loads(checked.stdout)["items"]] == ["range outside"]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeAzure, str]]:
    """A route table at a fake Azure that this process asks."""
    (tmp_path / "azure").mkdir()
    with azure(tmp_path / "azure") as fake:
        for name, value in environment(fake).items():
            monkeypatch.setenv(name, value)
        made = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
        fake.arm.put(made, {"routes": [route("n0", "10.244.0.0/24", "10.240.0.9")]})
        yield fake, made


def test_a_route_table_is_compared_with_the_nodes(
    server: FakeApiServer, lists: dict[str, list[Any]], table: tuple[FakeAzure, str]
) -> None:
    """Route, Node and interface: each disagreement with its way out; and the table's column and facts."""
    fake, made = table
    machine = made.replace("Microsoft.Network/routeTables/rt", "Microsoft.Compute/virtualMachines/vm0")
    lists["nodes"][0] |= {
        "spec": {**NODE["spec"], "providerID": f"azure://{machine}"},
        "status": {**NODE["status"], "addresses": [{"type": "InternalIP", "address": "10.240.0.4"}]},
    }
    nic = {"virtualMachine": {"id": machine}, "ipConfigurations": [{"properties": {"privateIPAddress": "10.240.0.4"}}]}
    fake.arm.put(made.replace("routeTables/rt", "networkInterfaces/nic"), nic)
    subnet = made.replace("routeTables/rt", "virtualNetworks/v/subnets/nodes")
    words = ["--cluster-cidr", "10.244.0.0/16", "--route-table", made]
    checked = called(server, "check", *words, "--node-subnet", subnet, "--azure-group", _group(made), "-o", "json")
    assert checked.exit_code == 1, checked.output
    rows = json.loads(checked.stdout)["items"]
    assert [(each["kind"], each["about"]) for each in rows] == [
        ("no forwarding", "n0"), ("no machine", "n1"), ("route differs", "n0"), ("table not in use", subnet),
    ]  # fmt: skip
    assert all(each["way_out"] for each in rows)
    shown = json.loads(called(server, "show", "--route-table", made, "-o", "json").stdout)["items"]
    assert [each["route"] for each in shown] == ["10.240.0.9", ""]
    assert "route differs" in called(server, "explain", "n0", *words).stdout
    refused = called(server, "check", "--route-table", made)
    assert "--route-table needs --cluster-cidr" in refused.output


def _group(resource: str) -> str:
    return resource.partition("/providers/")[0]


def test_what_is_wrong_can_be_watched(server: FakeApiServer) -> None:
    assert "--watch" in called(server, "check", "--help").output


@pytest.mark.parametrize("where", ["localhost:ninety", "bad host:80", "localhost:1", "[::1"])
def test_a_controller_that_cannot_be_asked_is_named(server: FakeApiServer, where: str) -> None:
    with pytest.raises(SourceFailed, match=re.escape(f"the controller at {where} does not tell what waits: ")):
        called(server, "show", "--controller", where)


@pytest.mark.parametrize("answer", [b"[]", b'{"items": 1}', b'{"items": [{"job": "x"}]}', b'{"items": ["x"]}'])
def test_a_controller_that_is_another_server_is_named(server: FakeApiServer, answer: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        where = f"127.0.0.1:{other.server_address[1]}"
        with pytest.raises(SourceFailed, match=f"the controller at {where} does not tell what waits: "):
            called(server, "show", "--controller", where)
