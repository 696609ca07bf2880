"""Everything the systems can say, in all it comes wrapped in: the right cause or "not understood", never healthy.

And the same words where they mean nothing, in another program's log, as a heading, as a word of a sentence: no fault.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from unipam.diagnose import diagnose, diagnose_bytes
from unipam.diagnose.report import Report

CORPUS: dict[str, dict[str, list[str]]] = tomllib.loads(
    Path(__file__).with_name("corpus.toml").read_text(encoding="utf-8")
)
SANDBOX = "ce54c8f820d18e4ea9eca3b7da6482d110f162a4b0bc03a905a33fb2712b1e4d"


def said(*groups: str) -> list[tuple[str, str]]:
    return [(kind, text) for group in groups for kind, texts in CORPUS[group].items() for text in texts]


def name(value: object) -> str:
    return str(value)[:40]


def kinds(report: Report) -> set[str]:
    return {each.kind for found in report.findings for each in found.every()}


def plugin(text: str) -> str:
    if text.startswith(("error adding", "netplugin failed")):
        return text
    return f'plugin type="azure-vnet" failed (add): {text}'


def event(text: str) -> str:
    return (
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
        f'"{SANDBOX}": {plugin(text)}'
    )


def escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


PLUGIN_WRAPPINGS: dict[str, Callable[[str], str]] = {
    "kubectl describe": lambda text: f"  Warning  FailedCreatePodSandBox  3m (x7 over 9m)  kubelet  {event(text)}\n",
    "kubectl get events": lambda text: f"3m   Warning   FailedCreatePodSandBox   pod/web-0   {event(text)}\n",
    "kubectl get events -o json": lambda text: json.dumps(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [
                {
                    "kind": "Event",
                    "reason": "FailedCreatePodSandBox",
                    "type": "Warning",
                    "count": 7,
                    "message": event(text),
                    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-0"},
                    "source": {"component": "kubelet", "host": "node-1"},
                    "lastTimestamp": "2025-03-01T18:20:18Z",
                }
            ],
        },
        indent=2,
    ),
    "containerd in syslog": lambda text: (
        f'Mar  1 18:20:18 node-1 containerd[812]: time="2025-03-01T18:20:18.1Z" level=error msg="RunPodSandbox for '
        f"&PodSandboxMetadata{{Name:web-0,Uid:0c2b7f49,Namespace:shop,Attempt:0,}} failed, error\" error=\"failed to "
        f"setup "
        f'network for sandbox \\"{SANDBOX}\\": {escaped(plugin(text))}"\n'
    ),
    "kubelet in syslog": lambda text: (
        "Mar  1 18:20:18 node-1 kubelet[2775]: E0301 18:20:18.668339    2775 pod_workers.go:1298] \"Error syncing pod, "
        f'skipping" err="failed to \\"CreatePodSandbox\\" for \\"web-0_shop(0c2b)\\" with CreatePodSandboxError: '
        f'\\"{escaped(escaped(event(text)))}\\"" pod="shop/web-0"\n'
    ),
    "klog JSON": lambda text: json.dumps(
        {"ts": 1740853218668.3, "caller": "pod.go:1", "msg": "CreatePodSandbox for pod failed", "err": event(text)}
    )
    + "\n",
    "journalctl -o json": lambda text: json.dumps(
        {"SYSLOG_IDENTIFIER": "kubelet", "MESSAGE": f'E0301 18:20:18.668339 2775 x.go:1] "Failed" '
                                                    f'err="{escaped(event(text))}"'}
    )
    + "\n",
    "a quote in a chat": lambda text: "\n".join(
        f"> {event(text)[at : at + 60]}" for at in range(0, len(event(text)), 60)
    ),
    "wrapped by a terminal": lambda text: "\n".join(
        [f"    {' '.join(event(text).split()[at : at + 6])}" for at in range(0, len(event(text).split()), 6)]
    ),
    "Markdown": lambda text: f"We see this since Monday:\n\n```\n{event(text)}\n```\n",
    "an old kubelet": lambda text: (
        f'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container '
        f'"{SANDBOX}" network '
        f'for pod "web-0": networkPlugin cni failed to set up pod "web-0_shop" network: {text}\n'
    ),
}  # fmt: skip
AZURE_WRAPPINGS: dict[str, Callable[[str, str], str]] = {
    "az": lambda code, text: f"({code}) {text}\nCode: {code}\nMessage: {text}\n",
    "the portal": lambda code, text: f"Failed to add node pool 'np2' to Kubernetes service 'aks-1'. Error: {text}\n",
    "terraform": lambda code, text: (
        'Error: creating Managed Kubernetes Cluster "aks-1": containerservice.ManagedClustersClient#CreateOrUpdate: '
        'Failure '
        f'sending request: StatusCode=400 -- Original Error: Code="{code}" Message="{text}" '
        f'Target="agentPoolProfile.count"\n'
    ),
    "JSON": lambda code, text: (
        json.dumps({"status": "Failed", "error": {"code": code, "message": text}}, indent=2) + "\n"
    ),
    "JSON in JSON": lambda code, text: json.dumps(
        {
            "code": "DeploymentFailed",
            "message": "At least one resource deployment operation failed.",
            "details": [{"code": "BadRequest", "message": json.dumps({"code": code, "message": text}, indent=1)}],
        }
    )
    + "\n",
    "the autoscaler": lambda code, text: (
        f'E0301 18:20:18.668339       1 azure_scale_set.go:297] Failed to increase capacity for scale set '
        f'"aks-np-vmss" to 30: {text}\n'
    ),
    "Karpenter": lambda code, text: (
        f"RESPONSE 400: 400 Bad Request\nERROR CODE: {code}\n----------\n{code}: {text}\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrapping", PLUGIN_WRAPPINGS)
@pytest.mark.parametrize(("kind", "text"), said("plugin"), ids=name)
def test_what_a_plugin_says_is_known_in_every_wrapping(kind: str, text: str, wrapping: str) -> None:
    report = diagnose_bytes(PLUGIN_WRAPPINGS[wrapping](text).encode())
    assert kind in kinds(report), (report.verdict, kinds(report))
    assert report.outcome == ("not understood" if kind == "unexplained" else "findings")


@pytest.mark.parametrize("cut", ["start", "end", "both"])
@pytest.mark.parametrize(("kind", "text"), said("plugin"), ids=name)
def test_what_a_plugin_says_is_never_healthy_when_it_is_cut(kind: str, text: str, cut: str) -> None:
    line = PLUGIN_WRAPPINGS["kubectl describe"](text)
    for size in range(10, len(line) - 10, 23):
        piece = {"start": line[size:], "end": line[:size], "both": line[size : size + 90]}[cut]
        assert diagnose_bytes(piece.encode()).outcome != "healthy", piece


@pytest.mark.parametrize("wrapping", AZURE_WRAPPINGS)
@pytest.mark.parametrize(("kind", "text"), said("azure"), ids=name)
def test_what_azure_says_is_known_in_every_wrapping(kind: str, text: str, wrapping: str) -> None:
    report = diagnose_bytes(AZURE_WRAPPINGS[wrapping]("BadRequest", text).encode())
    assert kind in kinds(report), (report.verdict, kinds(report))
    assert report.outcome == "findings"


@pytest.mark.parametrize("wrapping", sorted(AZURE_WRAPPINGS.keys() - {"the portal", "the autoscaler"}))
@pytest.mark.parametrize(("kind", "code"), said("codes"), ids=name)
def test_a_code_of_azure_is_known_without_its_message(kind: str, code: str, wrapping: str) -> None:
    report = diagnose_bytes(AZURE_WRAPPINGS[wrapping](code, "Something about the cluster did not fit.").encode())
    assert kind in kinds(report), (report.verdict, kinds(report))
    assert report.outcome == ("not understood" if kind == "azure-unknown" else "findings")


@pytest.mark.parametrize(("kind", "line"), said("logs"), ids=name)
def test_a_line_of_a_log_is_known(kind: str, line: str) -> None:
    report = diagnose_bytes(f"{line}\n".encode())
    assert kind in kinds(report), (report.verdict, kinds(report))
    assert report.outcome != "healthy"


ELSEWHERE: dict[str, Callable[[str], str]] = {
    "another program's syslog": lambda text: f"Mar  1 18:20:18 node-1 shopd[812]: {text}\n",
    "another program's journal": lambda text: json.dumps({"SYSLOG_IDENTIFIER": "shopd", "MESSAGE": text}) + "\n",
    "another program's JSON": lambda text: json.dumps({"level": "error", "msg": text, "component": "shop"}) + "\n",
    "a heading": lambda text: f"# {text.partition(':')[0]}\n",
    "a web server": lambda text: f"2025/03/05 18:16:10 [error] 31#31: *1 {text}, client: 10.0.0.7\n",
}


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize(("kind", "text"), [*said("plugin"), *said("azure"), *said("codes")], ids=name)
def test_the_same_words_elsewhere_are_no_fault(kind: str, text: str, place: str) -> None:
    report = diagnose_bytes(ELSEWHERE[place](text).encode())
    assert not [found for found in report.findings if found.severity == "fault"], (kind, report.verdict)


@pytest.mark.parametrize(("kind", "text"), [*said("plugin"), *said("azure")], ids=name)
def test_a_container_that_is_none_of_these_systems_is_not_believed(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / f"var/log/containers/shop-7fd_default_shop-{SANDBOX}.log"
    path.parent.mkdir(parents=True)
    path.write_text(f"2025-03-01T18:20:18.1Z stderr F {event(text)}\n")
    assert not diagnose([path]).findings, kind


@pytest.mark.parametrize(
    "text",
    [
        "ConnectionError: HTTPConnectionPool(host='shop', port=80)",
        "429 Too Many Requests",
        "panic: runtime error: index out of range [3] with length 3",
        "unexpected end of JSON input",
        "Store is locked",
        "range is full",
        "No available addresses",
        "no available address pools",
        "Invalid address space",
        "etcdserver: request timed out",
        "error: Unauthorized",
        "AADSTS50034: The user account does not exist",
        "dial tcp 10.1.2.3:443: connect: connection refused",
        "already assigned in block 7 of the cinema",
        "write /srv/networks/map.json: no space left on device",
        "The lunch was throttled: Too many requests",
        "SubnetIsFull is one of the codes that Azure knows.",
        "time limit exceeded while waiting to become leader",
    ],
)
def test_words_that_any_program_may_print_are_no_sign_alone(text: str) -> None:
    report = diagnose_bytes(f"{text}\n".encode())
    assert not report.findings, report.verdict
    assert report.outcome == "not understood"
