"""What `deploy/` says against what unipam is: command lines, routes, ports, names; and against Kubernetes' own schema.

The pages' command lines are checked here too, since they are copied just as the manifests are.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from lightkube import codecs
from tests.conftest import Agent
from tests.deploy.command_lines import Line, check, lines_of
from tests.server.live import Live, serve

from unipam.model.objects import parse_cidr

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
TEXTS = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src/unipam/server/pages/templates").glob("*.html"),
        *(
            path
            for path in (ROOT / "deploy").rglob("*")
            if path.is_file() and path.suffix not in {".lock", ".py"} and "templates" not in path.parts
        ),
    ]
)
POD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
KUBECTL = os.environ.get("UNIPAM_KUBECTL", "")
SETS = ("containers", "env", "initContainers", "volumes")
"""Lists whose items a patch finds by name (Kubernetes' strategic merge)."""


def read(path: Path) -> Any:
    """A file of one YAML document."""
    return yaml.safe_load(path.read_text("utf-8"))


def merged(base: Any, patch: Any, key: str = "") -> Any:
    """What a strategic merge patch makes of its base."""
    if isinstance(base, dict) and isinstance(patch, dict):
        whole = base | {k: merged(base[k], v, k) if k in base else v for k, v in patch.items()}
        return {k: v for k, v in whole.items() if v is not None}
    if key in SETS:
        ours = {item["name"]: item for item in base}
        theirs = {item["name"]: item for item in patch}
        return list((ours | {name: merged(ours.get(name, {}), item) for name, item in theirs.items()}).values())
    return patch


def built(kustomization: Path) -> list[dict[str, Any]]:
    """The objects that `kubectl apply -k` would send."""
    document = read(kustomization)
    objects: list[dict[str, Any]] = []
    for name in document["resources"]:
        path = kustomization.parent / name
        objects += built(path / "kustomization.yaml") if path.is_dir() else yaml.safe_load_all(path.read_text("utf-8"))
    for each in document.get("patches", ()):
        places = [
            n
            for n, one in enumerate(objects)
            if each["target"].items() <= {"kind": one["kind"], **one["metadata"]}.items()
        ]
        assert len(places) == 1, each["target"]
        objects[places[0]] = merged(objects[places[0]], read(kustomization.parent / each["path"]))
    return [placed(one, document["namespace"]) for one in objects] if "namespace" in document else objects


def placed(one: dict[str, Any], namespace: str) -> dict[str, Any]:
    """An object in the kustomization's namespace, if it is in any; the namespace itself takes that name."""
    if one["kind"].startswith("ClusterRole"):
        return one
    key = "name" if one["kind"] == "Namespace" else "namespace"
    return {**one, "metadata": {**one["metadata"], key: namespace}}


BUILT = {path.parent.relative_to(ROOT).as_posix(): built(path) for path in KUSTOMIZATIONS}
OBJECTS = [
    pytest.param(one, id=f"{name}:{one['kind']}/{one['metadata']['name']}")
    for name, all_ in BUILT.items()
    for one in all_
    if not one["apiVersion"].startswith("monitoring.coreos.com")  # of Prometheus' operator, not of Kubernetes
]
WORKLOADS = [
    pytest.param(name, one, id=f"{name}:{one['metadata']['name']}")
    for name, all_ in BUILT.items() for one in all_ if one["kind"] in POD_KINDS
]  # fmt: skip


SERVERS = [each for each in WORKLOADS if "uninstall" not in str(each.id)]
REGISTERS = [each for each in SERVERS if "register" in str(each.id)]


def one_of(place: str, kind: str) -> dict[str, Any]:
    """The only object of a kind that `kubectl apply -k` would send."""
    (found,) = (each for each in BUILT[f"deploy/kubernetes{place}"] if each["kind"] == kind)
    return found


def containers(workload: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod(workload).get("initContainers", ()), *pod(workload)["containers"]]


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    return dict(workload["spec"]["template"]["spec"])


def main_container(workload: dict[str, Any]) -> dict[str, Any]:
    return dict(pod(workload)["containers"][0])


def http_port(workload: dict[str, Any]) -> int:
    """Where the process listens, by its own command line."""
    words = main_container(workload)["command"]
    for option in ("--metrics", "--listen"):
        if option in words:
            return int(words[words.index(option) + 1].rpartition(":")[2])
    return int(words[words.index("--port") + 1])


def http_probes(workload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, probe in main_container(workload).items():
        if name.endswith("Probe") and "httpGet" in probe:
            yield probe["httpGet"]


# ---- command lines


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_line_is_one_that_unipam_takes(path: Path) -> None:
    for line in lines_of(path):
        try:
            check(line)
        except click.UsageError as error:
            pytest.fail(f"{path.relative_to(ROOT)}: unipam {' '.join(line.words)}: {error.format_message()}")


def test_the_places_that_matter_have_command_lines() -> None:
    """So that a reader that finds nothing does not pass for pages without mistakes."""
    counts = {path.relative_to(ROOT).as_posix(): len(lines_of(path)) for path in TEXTS}
    expected = {
        "README.md": 15, "docs/register.md": 10, "docs/tutorials/kubenet-node.md": 15,
        "deploy/Dockerfile": 1, "deploy/README.md": 5,
        "deploy/kubernetes/register.yaml": 2, "deploy/kubernetes/sqlite/register.yaml": 3,
        "deploy/kubernetes/agent/base/agent.yaml": 3, "deploy/kubernetes/uninstall/uninstall.yaml": 2,
        "deploy/systemd/unipam-agent.service": 2, "deploy/systemd/unipam-server.service": 1,
    }  # fmt: skip
    assert {path: count for path, count in expected.items() if counts[path] < count} == {}


@pytest.mark.parametrize(
    "text",
    [
        "server --databse x.db", "serve", "server extra", "server --port 70000", "server --members boss", "space add",
        "space", "register token add x --role king", "agent --sweep soon", "cni install --nmae host-local",
        "register backup",
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_found(text: str) -> None:
    with pytest.raises(click.UsageError):
        check(Line("here", tuple(text.split())))


# ---- manifests


def understood(document: dict[str, Any]) -> object:
    """What remains of a document after a pass through Kubernetes' types: all of it, or something is misspelt."""
    return codecs.from_dict(document).to_dict()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("document", OBJECTS)
def test_every_field_is_one_that_kubernetes_knows(document: dict[str, Any]) -> None:
    assert understood(document) == document


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    service = next(one for one in BUILT["deploy/kubernetes"] if one["kind"] == "Service")
    wrong = merged(service, {"spec": {"selectr": {"app": "x"}}})
    assert understood(wrong) != wrong


def test_no_manifest_is_left_out_of_every_kustomization() -> None:
    named = {
        (path.parent / name).resolve()
        for path in KUSTOMIZATIONS
        for name in [*read(path)["resources"], *(each["path"] for each in read(path).get("patches", ()))]
    }
    assert {p for p in KUBERNETES.rglob("*.yaml") if p.name != "kustomization.yaml"} <= named


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_kustomization_names_nothing_that_kustomize_refuses(path: Path) -> None:
    """A directory that the kustomization lies in is a cycle to kustomize, and a file elsewhere is forbidden."""
    here = path.parent.resolve()
    for named in ((here / name).resolve() for name in read(path)["resources"]):
        assert not here.is_relative_to(named) if named.is_dir() else named.is_relative_to(here), named


@pytest.mark.brought
@pytest.mark.skipif(not KUBECTL, reason="UNIPAM_KUBECTL names no kubectl (1.33.5 was met)")
@pytest.mark.parametrize("place", BUILT)
def test_kubectl_builds_the_same_objects(place: str) -> None:
    made = subprocess.run([KUBECTL, "kustomize", place], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    theirs, ours = ({identity(one): one for one in each} for each in (yaml.safe_load_all(made.stdout), BUILT[place]))
    assert theirs == ours


def identity(one: dict[str, Any]) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]


@pytest.mark.parametrize(("_", "workload"), SERVERS)
def test_ports_agree(_: str, workload: dict[str, Any]) -> None:
    port = http_port(workload)
    names = {p["name"]: p["containerPort"] for p in main_container(workload).get("ports", ())}
    annotations = workload["spec"]["template"]["metadata"]["annotations"]
    probed = {probe["port"] for probe in http_probes(workload)}
    assert probed
    assert {names.get(each, each) for each in probed} == {port}
    assert set(names.values()) <= {port}
    assert int(annotations["prometheus.io/port"]) == port


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place = tmp_path_factory.mktemp("register")
    with serve(str(place / "register.db"), place) as running:
        yield running


@pytest.mark.parametrize(("_", "workload"), REGISTERS)
def test_the_register_answers_at_what_is_probed_and_scraped(_: str, workload: dict[str, Any], register: Live) -> None:
    anybody = register.admin.as_("").at("")
    scraped = workload["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]
    for path in {scraped, *(probe["path"] for probe in http_probes(workload))}:
        assert anybody.get(path).status == 200, path
    assert b"unipam_register_requests" in anybody.get(scraped).body


@pytest.mark.parametrize("place", [name for name in BUILT if not name.endswith(("/access", "/monitoring"))])
def test_names_lead_somewhere(place: str) -> None:
    """Selectors, accounts, volumes, services and ports that are named exist among the objects sent with them."""
    objects = BUILT[place]
    workload = next(one for one in objects if one["kind"] in POD_KINDS)
    labels = workload["spec"]["template"]["metadata"]["labels"]
    of = {kind: [one for one in objects if one["kind"] == kind] for kind in {one["kind"] for one in objects}}
    selectors = [one["spec"]["selector"] for one in of.get("Service", ())]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in [workload, *of.get("PodDisruptionBudget", ())]]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of.get("NetworkPolicy", ())]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert pod(workload)["serviceAccountName"] in {one["metadata"]["name"] for one in of["ServiceAccount"]}
    volumes = {each["name"] for each in pod(workload).get("volumes", ())}
    volumes |= {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())}
    assert {m["name"] for c in containers(workload) for m in c.get("volumeMounts", ())} == volumes
    assert set(_named_ports(objects)) <= {p["name"] for p in main_container(workload).get("ports", ())}


def _named_ports(objects: list[dict[str, Any]]) -> set[str]:
    services = {p["targetPort"] for one in objects if one["kind"] == "Service" for p in one["spec"]["ports"]}
    policies = {
        port["port"] for one in objects if one["kind"] == "NetworkPolicy"
        for rule in one["spec"]["ingress"] for port in rule["ports"]
    }  # fmt: skip
    return services | policies


@pytest.mark.parametrize(("place", "workload"), WORKLOADS)
def test_no_container_may_more_than_it_needs(place: str, workload: dict[str, Any]) -> None:
    for container in containers(workload):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"]["drop"] == ["ALL"]
    speaks_to_kubernetes = "/controller" in place or place.endswith("/ciliumnode")
    assert pod(workload)["automountServiceAccountToken"] is speaks_to_kubernetes
    assert pod(workload)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_several_replicas_need_postgresql_and_one_file_one_replica() -> None:
    several, one = (
        next(each for each in BUILT[place] if each["kind"] in POD_KINDS)
        for place in ("deploy/kubernetes", "deploy/kubernetes/sqlite")
    )
    assert several["spec"]["replicas"] > 1
    (database,) = (each for each in main_container(several)["env"] if each["name"] == "UNIPAM_DATABASE")
    assert "secretKeyRef" in database["valueFrom"]
    assert one["spec"]["replicas"] == 1
    assert one["spec"]["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_the_register_believes_its_ingress_however_it_is_applied() -> None:
    """Else every caller has the Ingress's address, and one who guesses tokens locks everybody out."""
    plain = list(yaml.safe_load_all((KUBERNETES / "register.yaml").read_text("utf-8")))
    for objects in (plain, BUILT["deploy/kubernetes"], BUILT["deploy/kubernetes/sqlite"]):
        workload = next(one for one in objects if one["kind"] in POD_KINDS)
        (proxies,) = (each for each in main_container(workload)["env"] if each["name"] == "FORWARDED_ALLOW_IPS")
        assert parse_cidr(proxies["value"]).bits >= 8, "a network, and not everybody"


def test_the_agent_sees_namespaces_come_and_go() -> None:
    """Without this the sweep would take live leases for leaked ones."""
    (agent,) = (each for each in BUILT["deploy/kubernetes/agent"] if each["kind"] == "DaemonSet")
    (run,) = (each for each in main_container(agent)["volumeMounts"] if each["name"] == "run")
    assert run == {"name": "run", "mountPath": "/run", "mountPropagation": "HostToContainer"}
    assert pod(agent)["hostPID"]
    assert main_container(agent)["securityContext"]["capabilities"]["add"] == ["SYS_PTRACE"]
    assert "ln -s /run /image/var/run" in DOCKERFILE, "containerd names them below /var/run"


def test_a_node_has_two_agents_for_a_moment_and_never_none() -> None:
    """A port that a container declares with the host's network would keep the second pod from its node."""
    agent = one_of("/agent", "DaemonSet")
    assert agent["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": "10%", "maxUnavailable": 0}
    assert not any("ports" in container for container in containers(agent))


def test_an_older_kubernetes_meets_nothing_that_it_does_not_know() -> None:
    agent = one_of("/agent/older", "DaemonSet")
    assert agent["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "10%"}
    assert "appArmorProfile" not in str(agent)
    assert (
        "container.apparmor.security.beta.kubernetes.io/agent" in agent["spec"]["template"]["metadata"]["annotations"]
    )


@pytest.mark.parametrize("place", ["/agent", "/agent/older", "/uninstall"])
def test_what_is_for_nodes_runs_on_linux_nodes_that_are_machines(place: str) -> None:
    affinity = pod(one_of(place, "DaemonSet"))["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]},
    ]


@pytest.mark.parametrize("place", ["", "/sqlite", "/agent", "/agent/older", "/uninstall"])
def test_the_namespace_allows_what_its_pods_need(place: str) -> None:
    labels = one_of(place, "Namespace")["metadata"]["labels"]
    workload = next(one for one in BUILT[f"deploy/kubernetes{place}"] if one["kind"] in POD_KINDS)
    needed = "privileged" if pod(workload).get("hostNetwork") else "restricted"
    assert labels["pod-security.kubernetes.io/enforce"] == needed


@pytest.mark.parametrize(("_", "workload"), REGISTERS)
def test_no_token_goes_to_a_log(_: str, workload: dict[str, Any]) -> None:
    words = main_container(workload)["command"]
    (mount,) = (each for each in main_container(workload)["volumeMounts"] if each["name"] == "first-admin")
    (volume,) = (each for each in pod(workload)["volumes"] if each["name"] == "first-admin")
    assert words[words.index("--admin-token-from") + 1] == f"{mount['mountPath']}/token"
    assert volume["secret"]["secretName"] == "unipam-first-admin"
    assert volume["secret"]["defaultMode"] == 0o440
    assert pod(workload)["securityContext"]["fsGroup"] == pod(workload)["securityContext"]["runAsUser"]


def test_every_alert_is_about_something_that_is_measured(register: Live, start_agent: Callable[..., Agent]) -> None:
    measured = register.admin.as_("").at("").get("/metrics").body.decode() + agent_metrics(start_agent)
    rules = [rule for group in one_of("/monitoring", "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"unipam_\w+", rule["expr"])}
    assert len(rules) >= 7
    assert {name for name in asked if name.removesuffix("_count").removesuffix("_total") not in measured} == set()


def agent_metrics(start_agent: Callable[..., Agent]) -> str:
    """What an agent says to Prometheus before it was called."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    start_agent("--metrics", f"127.0.0.1:{port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_monitors_look_where_the_pods_are() -> None:
    for monitor in (each for each in BUILT["deploy/kubernetes/monitoring"] if each["kind"] == "PodMonitor"):
        (place,) = (
            place for place in ("/agent", "")
            if monitor["metadata"]["namespace"] == one_of(place, "Namespace")["metadata"]["name"]
        )  # fmt: skip
        workload = next(one for one in BUILT[f"deploy/kubernetes{place}"] if one["kind"] in POD_KINDS)
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        if "port" in endpoint:
            assert endpoint["port"] in {each["name"] for each in main_container(workload)["ports"]}
        else:
            assert f":{http_port(workload)}" in str(endpoint["relabelings"])


DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
REQUIREMENTS = ROOT / "deploy" / "requirements"


@pytest.mark.parametrize(("_", "workload"), WORKLOADS)
def test_images_are_of_this_version_and_are_built(_: str, workload: dict[str, Any]) -> None:
    (version, *_) = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    for container in containers(workload):
        name, _, tag = container["image"].partition(":")
        assert tag == version, "the newest that the changelog tells of: docs/releasing.md, 1"
        assert f"--target {name.removeprefix('unipam-')} -t {container['image']} " in DOCKERFILE
        assert re.search(rf"^FROM \S+ AS {name.removeprefix('unipam-')}$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize(("image", "extras"), [("agent", {"cri"}), ("register", {"server", "azure"})])
def test_an_image_holds_what_it_runs_as_the_tests_ran_it(image: str, extras: set[str]) -> None:
    """Of each package the version that the whole lock names, and none that only develops or tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    optional = project["project"]["optional-dependencies"]
    wanted = {
        name_of(each) for each in [*project["project"]["dependencies"], *(d for e in extras for d in optional[e])]
    }
    groups = project["dependency-groups"]
    unwanted = {name_of(each) for name in ("build", "dev") for each in groups[name] if isinstance(each, str)}
    here, whole = locked(REQUIREMENTS / f"{image}.lock"), locked(ROOT / "requirements.lock")
    assert wanted <= here.keys()
    assert not unwanted & here.keys()
    assert here.items() <= whole.items()
    assert f"-r /build/{image}.lock" in DOCKERFILE


def locked(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text("utf-8"), re.MULTILINE))


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0].lower()


def test_the_register_s_image_is_the_one_that_the_manifests_run() -> None:
    assert {int(found) for found in re.findall(r"^EXPOSE (\d+)", DOCKERFILE, re.MULTILINE)} == {8080}
    (user,) = re.findall(r"^USER (\d+)", DOCKERFILE, re.MULTILINE)
    for place in ("deploy/kubernetes", "deploy/kubernetes/sqlite"):
        workload = next(each for each in BUILT[place] if each["kind"] in POD_KINDS)
        assert pod(workload)["securityContext"]["runAsUser"] == int(user)


@pytest.mark.parametrize("image", ["agent", "register"])
def test_an_image_says_what_it_is_and_what_is_in_it(image: str) -> None:
    stage = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    (last,) = (each for each in stage if each.splitlines()[0].endswith(f" AS {image}"))
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", last))
    assert labels == {"title", "description", "licenses", "version", "revision"}
    (source,) = re.findall(r"^COPY --from=(\w+)", last, re.MULTILINE)
    (before,) = (each for each in stage if each.splitlines()[0].endswith(f" AS {source}"))
    assert "cyclonedx-py environment --output-reproducible" in before


def test_what_an_image_begins_with_cannot_change_under_its_name() -> None:
    assert re.search(r"^ARG PYTHON=\S+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert bases == {"${PYTHON}", "build", "scratch"}
    assert "apt-get" not in DOCKERFILE, "what a distribution has today"
    assert all(
        "--require-hashes" in line or "--no-index" in line for line in re.findall(r"pip .*install.*", DOCKERFILE)
    )
