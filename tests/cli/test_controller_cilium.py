"""`unipam controller --cilium`: the flags of cilium-operator-azure, its configuration directory, and the dry run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.cli.test_schemas import require_described
from tests.clients.fake_api_server import Asked, FakeApiServer, Say, fake_api_server, status
from tests.dialects.cilium.test_nodes import captured, interface
from tests.fakes.azure import FakeAzure, azure

from unipam.cli import controller, controller_azure
from unipam.cli.main import unipam
from unipam.clients.azure import imds
from unipam.controllers import run as process
from unipam.controllers.cilium import rehearsal
from unipam.controllers.cilium.controller import Operator
from unipam.controllers.run import Settings
from unipam.dialects.cilium.planning import Policy
from unipam.model.errors import BadConfig, SourceFailed

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
WHERE = ("--azure-subscription-id", SUBSCRIPTION, "--azure-resource-group", "MC_example")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What processes were started with, that were not."""
    found: list[Settings] = []
    monkeypatch.setattr(process, "run", found.append)
    monkeypatch.setattr(controller, "_azure", lambda _: rehearsal._Reading(pytest.fail))
    return found


def called(*words: str) -> Result:
    return CliRunner().invoke(unipam, ["controller", "--cilium", *words], catch_exceptions=False)


def policy(settings: Settings, api: Any = None) -> Policy:
    (make,) = settings.controllers
    operator = make(api)
    assert isinstance(operator, Operator)
    return operator._policy


def test_a_deployments_arguments_are_accepted(started: list[Settings]) -> None:
    """In every way in which Cilium's flags are written; what has no effect is named."""
    words = [
        "--debug=false", "--enable-metrics", "--k8s-namespace=cilium", "--azure-use-primary-address=true",
        "--parallel-alloc-workers", "20", "--operator-prometheus-serve-addr=:9963", "--nodes-gc-interval=0",
        "--leader-election-lease-duration=6s", "--leader-election-renew-deadline", "4s",
        "--leader-election-retry-period=1s", "--limit-ipam-api-qps=8", "--synchronize-k8s-nodes=false",
        "--excess-ip-release-delay", "90", "--ipam=azure", "--cluster-name=x", "--unmanaged-pod-watcher-interval", "15",
        "--azure-release-excess-ips", "--excess-formula", "1.17",
    ]  # fmt: skip
    answer = called(*WHERE, *words)
    assert answer.exit_code == 0
    (settings,) = started
    assert (settings.namespace, settings.listen) == ("cilium", ":9963")
    assert tuple(settings.timing) == (6.0, 4.0, 1.0)
    assert policy(settings) == Policy(release=True, release_after=90.0, use_primary=True, first_excess=True)
    (line,) = [json.loads(each) for each in answer.stderr.splitlines() if "without effect" in each]
    assert line["flags"] == [
        "cluster-name", "debug", "enable-metrics", "nodes-gc-interval", "parallel-alloc-workers",
        "synchronize-k8s-nodes", "unmanaged-pod-watcher-interval",
    ]  # fmt: skip


def test_the_config_map_counts_less_than_the_command_line(started: list[Settings], tmp_path: Path) -> None:
    """As a ConfigMap is mounted: a file for each key, most of them the agent's."""
    keys = {
        "azure-subscription-id": SUBSCRIPTION, "azure-resource-group": "MC_other", "ipam": "azure",
        "azure-use-primary-address": "true", "limit-ipam-api-qps": "2", "identity-gc-interval": "15m0s",
        "tunnel-protocol": "vxlan", "bpf-map-dynamic-size-ratio": "0.0025",
    }  # fmt: skip
    for key, value in keys.items():
        (tmp_path / key).write_text(value)
    (tmp_path / "..data").mkdir()
    answer = called("--config-dir", str(tmp_path), "--azure-use-primary-address=false")
    assert answer.exit_code == 0
    assert policy(started[0]) == Policy()
    (line,) = [json.loads(each) for each in answer.stderr.splitlines() if "without effect" in each]
    assert (line["flags"], line["of_others"]) == (["identity-gc-interval"], 2)
    (tmp_path / "limit-ipam-api-qps").write_bytes(b"\xff")
    refused = called("--config-dir", str(tmp_path))
    assert refused.exit_code == 2
    assert "limit-ipam-api-qps cannot be read" in refused.output
    (tmp_path / "limit-ipam-api-qps").write_text("many")
    refused = called("--config-dir", str(tmp_path))
    assert refused.exit_code == 2
    assert "--limit-ipam-api-qps" in refused.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ipam=eni",), "this is the operator of azure"),
        (("--leader-election-lease-duration", "soon"), "'soon' is no duration"),
        (
            ("--leader-election-renew-deadline", "20s"),
            "renew-deadline (20 s) must be shorter than lease-duration (15 s)",
        ),
        (
            ("--leader-election-lease-duration", "5900ms", "--leader-election-renew-deadline", "5500ms"),
            "renew-deadline (5.5 s) must be shorter than lease-duration (5 s)",
        ),
        (("--leader-election-retry-period=10s",), "retry-period (10 s) must be shorter than renew-deadline (10 s)"),
        (("--leader-election-retry-period=0",), "retry-period (0 s) must be longer than 0"),
        (("--limit-ipam-api-qps", "nan"), "nan is no number to reckon with"),
        (("--limit-ipam-api-qps", "inf"), "inf is no number to reckon with"),
        (("--excess-ip-release-delay", "²"), "'²' is no duration"),
        (("--no-such-flag",), "No such option"),
        (("--dry-run", "--calico"), "--dry-run is for --cilium alone, or for --kubenet alone"),
    ],
)
def test_what_makes_no_sense_is_said(started: list[Settings], words: tuple[str, ...], said: str) -> None:
    refused = called(*WHERE, *words)
    assert (refused.exit_code, started) == (2, [])
    assert said in refused.output


TOLD = {"subscriptionId": SUBSCRIPTION, "resourceGroupName": "MC_here", "azEnvironment": "AzurePublicCloud"}
"""What the metadata service knows."""


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A metadata service on loopback; it tells its paths."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            field = self.path.partition("?")[0].rpartition("/")[2]
            good = self.headers["Metadata"] == "true" and field in TOLD
            self.send_response(200 if good else 404)
            self.end_headers()
            self.wfile.write(TOLD.get(field, "").encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    where = f"127.0.0.1:{server.server_address[1]}"
    read = imds.read
    monkeypatch.setattr(imds, "read", lambda field: read(field, where))
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_where_nobody_says_which_group_the_machine_knows_its_own(started: list[Settings], metadata: list[str]) -> None:
    assert called().exit_code == 0
    assert len(started) == 1
    assert metadata[0] == "/metadata/instance/compute/subscriptionId?api-version=2019-06-01&format=text"
    with pytest.raises(SourceFailed, match="does not tell zone: HTTP 404"):
        imds.read("zone")


@pytest.mark.parametrize(
    ("cloud", "endpoint"),
    [
        ("AzurePublicCloud", "https://management.azure.com"),
        ("AzureUSGovernmentCloud", "https://management.usgovcloudapi.net"),
        ("AzureChinaCloud", "https://management.chinacloudapi.cn"),
    ],
)
def test_the_cloud_is_the_machines_unless_one_is_named(
    metadata: list[str], monkeypatch: pytest.MonkeyPatch, cloud: str, endpoint: str
) -> None:
    monkeypatch.setitem(TOLD, "azEnvironment", cloud)
    given = {"azure_user_assigned_identity_id": ""}
    assert controller_azure.settings(given).arm == endpoint
    assert len(metadata) == 1
    monkeypatch.setenv("AZURE_ENV", "AZURE_CHINA")
    assert controller_azure.settings(given).arm == "https://management.chinacloudapi.cn"
    assert len(metadata) == 1, "it was not asked for"


def test_a_cloud_that_is_not_known_is_named(metadata: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOLD, "azEnvironment", "AzureGermanCloud")
    with pytest.raises(BadConfig, match="'AzureGermanCloud', which is not known: name one by AZURE_ENV"):
        controller_azure.settings({"azure_user_assigned_identity_id": ""})


def test_a_group_that_cannot_be_found_out_is_named(started: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    read = imds.read
    monkeypatch.setattr(imds, "read", lambda field: read(field, "127.0.0.1:1"))
    refused = called("--azure-subscription-id", SUBSCRIPTION)
    assert refused.exit_code == 2
    assert "--cilium needs --azure-resource-group" in refused.output


# The dry run, against what the genuine operator wrote

BEFORE = ["ciliumnode-2-first-pool.json", "ciliumnode-403.json"]


class Cluster:
    """An API server with CiliumNodes and pods; whoever writes is refused and noted."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {"ciliumnodes": [], "pods": [], "ciliumendpoints": []}
        self.written: list[str] = []

    def __call__(self, asked: Asked) -> Say:
        if asked.method != "GET":
            self.written.append(asked.target)
            return status(403, "Forbidden", "nobody writes here")
        resource = asked.target.partition("?")[0].rpartition("/")[2]
        return Say(200, {"metadata": {"resourceVersion": "1"}, "items": self.lists[resource]})


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def server(tmp_path: Path, cluster: Cluster) -> Iterator[FakeApiServer]:
    with fake_api_server(tmp_path, cluster) as made:
        yield made


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzure]:
    """Azure with the subnet of the captures, and who is to ask it."""
    with azure(tmp_path) as fake:
        fake.grant(fake.entra.principal, SUBSCRIPTION)
        fake.arm.stale = True
        given = {
            "AZURE_TENANT_ID": fake.entra.tenant, "AZURE_CLIENT_ID": fake.entra.client,
            "AZURE_CLIENT_SECRET": fake.entra.secret, "AZURE_AUTHORITY_HOST": fake.base,
            "UNIPAM_AZURE_ENDPOINT": fake.base, "UNIPAM_AZURE_CA_FILE": fake.ca,
        }  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield fake


def put(fake: FakeAzure, document: dict[str, Any], cidr: str = "10.240.0.0/16") -> None:
    """The interface that the genuine operator made a document of, its scale set and its subnet."""
    made = interface(document)
    machine = made["properties"]["virtualMachine"]["id"]
    fake.arm.put(machine.partition("/virtualMachines/")[0], {}, sku={"capacity": 1})
    fake.arm.put(made["id"], made["properties"])
    fake.arm.put(made["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"], {"addressPrefix": cidr})


def rehearsed(server: FakeApiServer, *words: str) -> list[dict[str, str]]:
    answer = called(*WHERE, "--dry-run", "--kubeconfig", str(server.kubeconfig), "-o", "json", *words)
    assert answer.exit_code == 0, answer.output
    require_described(json.loads(answer.stdout))
    rows: list[dict[str, str]] = json.loads(answer.stdout)["items"]
    return rows


def test_a_node_that_the_genuine_operator_has_served_needs_nothing(
    server: FakeApiServer, cluster: Cluster, cloud: FakeAzure
) -> None:
    """And nothing is written anywhere."""
    document = captured("ciliumnode-2-first-pool.json")
    put(cloud, document)
    cluster.lists["ciliumnodes"] = [document]
    assert rehearsed(server) == []
    assert cluster.written == []
    assert {call.method for call in cloud.calls if "/providers/" in call.path} == {"GET"}


def test_a_document_of_1_15_would_get_the_newer_fields(
    server: FakeApiServer, cluster: Cluster, cloud: FakeAzure
) -> None:
    old, new = captured("ciliumnode-first-pool-1.15.19.json"), captured("ciliumnode-2-first-pool.json")
    said = old["status"]["azure"]["interfaces"][0]
    shape = new["status"]["azure"]["interfaces"][0]
    put(cloud, {"status": {"azure": {"interfaces": [{**shape, **said}]}}})
    cluster.lists["ciliumnodes"] = [old]
    assert [each["action"] for each in rehearsed(server)] == ["status"]


def test_what_it_would_do_otherwise_is_said(server: FakeApiServer, cluster: Cluster, cloud: FakeAzure) -> None:
    """A node with far too many keeps them with theirs; a refused one is told nothing by theirs."""
    many, refused = captured("ciliumnode-4-two-used-75s-later.json"), captured("ciliumnode-403.json")
    for each in (many, refused):
        put(cloud, each)
    refused["metadata"]["name"] = "refused"
    cluster.lists["ciliumnodes"] = [many, refused]
    rows = {(each["node"], each["action"]): each for each in rehearsed(server, "--azure-release-excess-ips")}
    name = many["metadata"]["name"]
    assert rows[name, "release"]["detail"] == "take back 6 addresses in 180 s"
    assert rows[name, "release"]["theirs"] == "keeps them"
    assert rows["refused", "grow"]["detail"] == "give aks-nic 8 addresses more of 8 wanted"
    without = [each["action"] for each in rehearsed(server) if each["node"] == name]
    assert without == []


def test_a_full_subnet_is_told_where_theirs_is_silent(
    server: FakeApiServer, cluster: Cluster, cloud: FakeAzure
) -> None:
    documents = [captured("ciliumnode-full-0.json"), captured("ciliumnode-full-1.json")]
    for each in documents:
        put(cloud, each, "10.240.0.0/27")
    subnet = interface(documents[0])["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"]
    rows = [{"id": str(index)} for index in range(27)]
    cloud.arm.put(subnet, {"addressPrefix": "10.240.0.0/27", "ipConfigurations": rows})
    cluster.lists["ciliumnodes"] = documents
    rows = rehearsed(server)
    told = [each for each in rows if each["action"] == "tell"]
    assert len(told) == 2
    assert {each["detail"] for each in told} == {"subnet nodes0 (10.240.0.0/27) has no free address"}


def test_pods_of_something_else_are_seen(server: FakeApiServer, cluster: Cluster, cloud: FakeAzure) -> None:
    document, before = captured("ciliumnode-2-first-pool.json"), captured("ciliumnode-1-before-operator.json")
    put(cloud, document)
    address = min(document["spec"]["ipam"]["pool"])
    metadata = {"namespace": "shop", "name": "web-0"}
    pod = {"metadata": metadata, "spec": {"nodeName": before["metadata"]["name"]}}
    cluster.lists |= {
        "ciliumnodes": [before],
        "pods": [pod | {"status": {"phase": "Running", "podIPs": [{"ip": address}]}}],
    }
    rows = {each["action"]: each["detail"] for each in rehearsed(server)}
    assert rows["hold back"] == f"leave {address} to the pods that have them"
    assert rows["grow"] == "give aks-nic 1 addresses more of 1 wanted"
    assert address not in rows["publish"]


def test_what_cannot_be_read_is_no_good_news(server: FakeApiServer, cluster: Cluster, cloud: FakeAzure) -> None:
    cloud.say("networkInterfaces", 403, {"error": {"code": "AuthorizationFailed", "message": "no right"}})
    cluster.lists["ciliumnodes"] = [captured("ciliumnode-2-first-pool.json")]
    with pytest.raises(SourceFailed, match="AuthorizationFailed: no right"):
        called(*WHERE, "--dry-run", "--kubeconfig", str(server.kubeconfig))


def test_what_nobody_expected_of_azure_is_no_traceback(
    server: FakeApiServer, cluster: Cluster, cloud: FakeAzure
) -> None:
    cloud.say("virtualMachineScaleSets", 200, {"value": ["?"]})
    cluster.lists["ciliumnodes"] = [captured("ciliumnode-2-first-pool.json")]
    with pytest.raises(SourceFailed, match="defect: AttributeError"):
        called(*WHERE, "--dry-run", "--kubeconfig", str(server.kubeconfig))


def test_a_table_for_people(server: FakeApiServer, cluster: Cluster, cloud: FakeAzure) -> None:
    cluster.lists["ciliumnodes"] = [captured("ciliumnode-2-first-pool.json")]
    put(cloud, cluster.lists["ciliumnodes"][0])
    answer = called(*WHERE, "--dry-run", "--kubeconfig", str(server.kubeconfig))
    assert "every node is as it should be" in answer.output
