"""The Helm chart: what `helm template` makes of it is what the kustomizations are, and each value does what it says.

Helm is in no package of Debian: UNIPAM_HELM names one (docs/testing.md).
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.deploy.command_lines import Line, check
from tests.deploy.test_manifests import BUILT, main_container, pod, understood

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm"
HELM = os.environ.get("UNIPAM_HELM", "")
pytestmark = [
    pytest.mark.brought,
    pytest.mark.skipif(not HELM, reason="UNIPAM_HELM names no helm: go install helm.sh/helm/v3/cmd/helm@v3.18.6"),
]
Objects = dict[tuple[str, str], dict[str, Any]]


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HELM, *words], capture_output=True, text=True, check=False)


def drawn(namespace: str, *settings: str, kubernetes: str = "1.33.0") -> Objects:
    """What `helm install` would send, by kind and name."""
    chosen = [word for each in settings for word in ("--set", each)]
    done = helm("template", "release", str(CHART), "-n", namespace, "--kube-version", kubernetes, *chosen)
    assert done.returncode == 0, done.stderr
    return by_name([each for each in yaml.safe_load_all(done.stdout) if each])


def by_name(objects: list[dict[str, Any]]) -> Objects:
    """Objects by kind and name, without the namespace itself: that is the release's."""
    return {(one["kind"], one["metadata"]["name"]): one for one in objects if one["kind"] != "Namespace"}


def register(*settings: str) -> Objects:
    return drawn("unipam", "register.enabled=true", *settings)


def deployment(*settings: str) -> dict[str, Any]:
    return register(*settings)["Deployment", "unipam-register"]


SQLITE = "register.database.sqlite.enabled=true"
CILIUM = [
    "controller.enabled=true", "controller.run={cilium}", "controller.cilium.subscription=" + "0" * 8
    + "-0000-0000-0000-" + "0" * 12, "controller.cilium.resourceGroup=MC_GROUP",
    "controller.workloadIdentity.clientId=" + "0" * 8 + "-0000-0000-0000-" + "0" * 12,
]  # fmt: skip
_GROUP = "/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.Network"
KUBENET = [
    "controller.enabled=true", "controller.run={kubenet}", "controller.kubenet.clusterCidr=10.244.0.0/16",
    "controller.kubenet.serviceClusterIpRange=10.0.0.0/16", f"controller.kubenet.routeTable={_GROUP}/routeTables/NAME",
    f"controller.kubenet.nodeSubnet={_GROUP}/virtualNetworks/VNET/subnets/NAME",
    "controller.workloadIdentity.clientId=" + "0" * 8 + "-0000-0000-0000-" + "0" * 12,
]  # fmt: skip
SAME = [
    ("controller/cilium", "unipam-controller", CILIUM, "1.30.0"),
    ("controller/kubenet", "unipam-controller", KUBENET, "1.30.0"),
    ("agent", "unipam-node", ["agent.enabled=true"], "1.30.0"),
    ("agent/older", "unipam-node", ["agent.enabled=true"], "1.29.9"),
    ("agent/older", "unipam-node", ["agent.enabled=true"], "1.20.2"),
    ("controller", "unipam-controller", ["controller.enabled=true"], "1.30.0"),
    ("", "unipam", ["register.enabled=true"], "1.30.0"),
    ("sqlite", "unipam", ["register.enabled=true", SQLITE, "register.ingress.enabled=false"], "1.30.0"),
]


@pytest.mark.parametrize(("place", "namespace", "settings", "kubernetes"), SAME)
def test_it_draws_what_the_kustomization_builds(
    place: str, namespace: str, settings: list[str], kubernetes: str
) -> None:
    expected = by_name(BUILT[f"deploy/kubernetes/{place}".rstrip("/")])
    found = drawn(namespace, *settings, kubernetes=kubernetes)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert found[name] == one, name


def test_it_monitors_as_the_kustomization_does() -> None:
    expected = by_name(BUILT["deploy/kubernetes/monitoring"])
    agent = drawn("unipam-node", "agent.enabled=true", "agent.podMonitor.enabled=true")
    assert agent["PodMonitor", "unipam-agent"] == expected["PodMonitor", "unipam-agent"]
    drawn_ = register("register.serviceMonitor.enabled=true", "register.serviceMonitor.labels.release=prometheus")
    monitor = drawn_["ServiceMonitor", "unipam-register"]
    (scraped,) = expected["PodMonitor", "unipam-register"]["spec"]["podMetricsEndpoints"]
    assert monitor["spec"]["endpoints"] == [scraped]
    assert monitor["metadata"]["labels"] == {"release": "prometheus"}
    service = drawn_["Service", "unipam-register"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert scraped["port"] in {port["name"] for port in service["spec"]["ports"]}


EVERYTHING = [
    "register.database.url=postgresql://u:p@db/unipam", "register.entra.tenant=T", "register.entra.clientId=C",
    "register.azure=true", "register.workloadIdentity.clientId=W", "register.ingress.className=nginx",
    "register.ingress.annotations.a=b", "register.replicas=3",
]  # fmt: skip


@pytest.mark.parametrize("settings", [[], EVERYTHING, [SQLITE, "register.database.sqlite.storageClass=disk"]])
def test_every_field_is_one_that_kubernetes_knows(settings: list[str]) -> None:
    for one in register(*settings).values():
        if one["kind"] != "Secret":  # whose stringData is written and never read
            assert understood(one) == one


def test_every_command_line_is_one_that_unipam_takes() -> None:
    words = main_container(deployment(*EVERYTHING))["command"]
    assert words[-7:] == ["--tenant", "T", "--client-id", "C", "--members", "planner", "--azure"]
    agent = drawn("unipam-node", "agent.enabled=true", "agent.plugins={host-local,azure-vnet-ipam}")
    daemon = agent["DaemonSet", "unipam-agent"]
    install = pod(daemon)["initContainers"][0]["command"]
    for command in (words, install, main_container(daemon)["command"]):
        try:
            check(Line("helm", tuple(command[1:])))
        except click.UsageError as error:
            pytest.fail(error.format_message())
    assert install[-6:-2] == ["--name", "host-local", "--name", "azure-vnet-ipam"]


def test_several_controllers_are_one_process_with_the_rights_of_all() -> None:
    """Both parts of the command line, and the rules of each."""
    of_both = [*CILIUM, *KUBENET, "controller.run={cilium,kubenet}", "controller.options={--range-rest=60}"]
    objects = drawn("unipam-controller", *of_both)
    words = main_container(objects["Deployment", "unipam-controller"])["command"]
    assert words.index("--cilium") < words.index("--kubenet") < words.index("--range-rest=60")
    check(Line("helm", tuple(words[1:])))
    rules = objects["ClusterRole", "unipam-controller"]["rules"]
    alone = [
        drawn("unipam-controller", *each)["ClusterRole", "unipam-controller"]["rules"] for each in (CILIUM, KUBENET)
    ]
    assert rules == [*alone[0], *alone[1]]


def test_an_agent_for_calico_reads_what_its_configuration_names() -> None:
    """Its kubeconfig, and the node's name; without calico-ipam the agent sees neither."""
    for plugins, seen in (("host-local", set()), ("calico-ipam", {"/etc/cni/net.d", "/var/lib/calico"})):
        agent = drawn("unipam-node", "agent.enabled=true", f"agent.plugins={{{plugins}}}")
        daemon = agent["DaemonSet", "unipam-agent"]
        assert understood(daemon) == daemon
        mounts = {each["mountPath"]: each["name"] for each in main_container(daemon)["volumeMounts"]}
        assert {path for path in mounts if path.startswith(("/etc", "/var/lib/calico"))} == seen
        volumes = {each["name"]: each.get("hostPath", {}).get("path") for each in pod(daemon)["volumes"]}
        assert {volumes[mounts[path]] for path in seen} == seen


def test_a_controller_is_told_what_to_run_and_how() -> None:
    options = ["controller.options={--grace,30}", "controller.calico.apiGroup=projectcalico.org"]
    etcd = ["controller.env[0].name=ETCD_ENDPOINTS", "controller.env[0].value=https://e:2379"]
    drawn_ = drawn("unipam-controller", "controller.enabled=true", *options, *etcd)
    deployment_ = drawn_["Deployment", "unipam-controller"]
    assert understood(deployment_) == deployment_
    words = main_container(deployment_)["command"]
    assert words == ["unipam", "controller", "--calico", "--listen", "0.0.0.0:9518", "--grace", "30"]
    check(Line("helm", tuple(words[1:])))
    assert {"name": "ETCD_ENDPOINTS", "value": "https://e:2379"} in main_container(deployment_)["env"]
    rules = drawn_["ClusterRole", "unipam-controller"]["rules"]
    assert {group for rule in rules for group in rule["apiGroups"]} == {"", "projectcalico.org", "kubevirt.io"}
    assert "ipamconfigurations" in {resource for rule in rules for resource in rule["resources"]}


def test_the_database_is_a_secret_s_a_url_s_or_a_file_s() -> None:
    def names(one: dict[str, Any]) -> Any:
        (database,) = (each for each in main_container(one)["env"] if each["name"] == "UNIPAM_DATABASE")
        return database.get("value") or database["valueFrom"]["secretKeyRef"]

    assert names(deployment("register.database.secret.name=s", "register.database.secret.key=k")) == {
        "name": "s", "key": "k",
    }  # fmt: skip
    by_url = register("register.database.url=postgresql://u:p@db/unipam")
    secret = by_url["Secret", "unipam-register-database"]
    assert secret["stringData"] == {"url": "postgresql://u:p@db/unipam"}
    assert names(by_url["Deployment", "unipam-register"]) == {"name": "unipam-register-database", "key": "url"}
    assert names(register(SQLITE)["StatefulSet", "unipam-register"]) == "/data/register.db"
    assert register(SQLITE, "register.replicas=3")["StatefulSet", "unipam-register"]["spec"]["replicas"] == 1


def test_another_url_brings_other_pods() -> None:
    notes = [
        deployment(f"register.database.url=postgresql://{host}/x")["spec"]["template"]["metadata"]["annotations"]
        for host in ("one", "two")
    ]
    assert notes[0] != notes[1]


def test_workload_identity_needs_account_and_pod_to_say_so() -> None:
    objects = register("register.workloadIdentity.clientId=W")
    account = objects["ServiceAccount", "unipam-register"]["metadata"]["annotations"]
    assert account == {"azure.workload.identity/client-id": "W"}
    labels = objects["Deployment", "unipam-register"]["spec"]["template"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"


@pytest.mark.parametrize("kind", ["NetworkPolicy", "PodDisruptionBudget", "Ingress"])
def test_what_is_switched_off_is_not_there(kind: str) -> None:
    key = kind[0].lower() + kind[1:]
    assert kind in {one for one, _ in register()}
    assert kind not in {one for one, _ in register(f"register.{key}.enabled=false")}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("agent.enabled=false", "set one of agent.enabled, controller.enabled and register.enabled"),
        ("agent.enabled=true,register.enabled=true", "set one of agent.enabled, controller.enabled and"),
        ("controller.enabled=true,controller.run={}", "run"),
        ("controller.enabled=true,controller.run={calicos}", "run"),
        ("controller.enabled=true,controller.run={kubenet}", "controller.kubenet.clusterCidr"),
        ("controller.enabled=true,controller.run={cilium}", "controller.cilium.subscription"),
        (f"register.enabled=true,register.database.url=x,{SQLITE}", "exclude each other"),
        ("register.enabled=true,register.entra.tenant=T", "belong together"),
        ("register.enabled=true,register.trustedProxies=*", "trustedProxies must name"),
        ("register.enabled=true,register.databse.url=x", "databse"),
        ("register.enabled=true,register.replicas=two", "replicas"),
        ("register.enabled=true,register.entra.members=boss", "members"),
    ],
)
def test_what_cannot_work_is_refused_by_the_value_s_name(settings: str, said: str) -> None:
    done = helm("template", "release", str(CHART), "--set", settings)
    assert done.returncode != 0
    assert said in done.stderr


def test_it_is_of_this_version_and_without_a_complaint() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (version, *_) = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert helm("lint", "--strict", str(CHART), "--set", "agent.enabled=true").returncode == 0
