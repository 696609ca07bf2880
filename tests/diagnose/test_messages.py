"""Messages as people paste them, beyond the published excerpts: what each must be taken for, and what for nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from unipam.diagnose.report import Finding, Report

Read = Callable[[str], Report]
EVENT = "  Warning  FailedCreatePodSandBox  3m (x7 over 9m)  kubelet  Failed to create pod sandbox: "

MESSAGES: dict[str, str] = tomllib.loads(Path(__file__).with_name("messages.toml").read_text(encoding="utf-8"))


def every(report: Report) -> dict[str, Finding]:
    """All findings by kind, those that follow from others too."""
    return {each.kind: each for found in report.findings for each in found.every()}


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_a_message_is_known_in_an_event(read: Read, kind: str) -> None:
    found = every(read(EVENT + MESSAGES[kind]))[kind]
    assert found.count == 7


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_a_message_is_known_when_it_is_wrapped(read: Read, kind: str) -> None:
    words = MESSAGES[kind].split(" ")
    wrapped = "\n".join(" ".join(words[at : at + 4]) for at in range(0, len(words), 4))
    assert kind in every(read(f"> Some prose before it.\n\n{wrapped}\n"))


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_a_message_is_known_in_a_kubelet_log(read: Read, kind: str) -> None:
    klog = "E0301 18:20:18.668339    2775 pod_workers.go:1298]"
    line = f'Mar  1 18:20:18 node-1 kubelet[2775]: {klog} "Error" err="{MESSAGES[kind]}" pod="ns/web-0"'
    found = every(read(line))[kind]
    assert found.entities["pods"] == ["ns/web-0"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The pool of candidates is exhausted by Friday. Unauthorized copying is not meant here.",
        "# No available addresses",
        "Our range is wide; the store is closed. IP addresses are free.\n- a list\n- of things",
        "Mar  1 18:20:18 node-1 systemd[1]: Started Session 4 of user azure.",
        'time="2025-03-01T18:20:18Z" level=info msg="loading plugin" type=io.containerd.cni.v1',
        "I0301 18:20:18.668339    2775 kubelet.go:2465] \"SyncLoop ADD\" source=\"api\"",
        '{"level":"info","ts":"2025-03-01T18:20:18Z","msg":"reconcile done","component":"other"}',
        'Mar  1 18:20:18 node-1 kubelet[7]: E0301 18:20:18.6 7 pod_workers.go:1298] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" with ErrImagePull: \\"unexpected response, message: none\\"" pod="a/b"',
        "Warning  FailedKillPod  2m  kubelet  error killing pod: failed to \"KillContainer\" for \"web\": no response",
        "kind: Pod\nmetadata:\n  name: web\nspec:\n  nodeName: node-1\n",
    ],
)  # fmt: skip
def test_nothing_is_made_of_nothing(read: Read, text: str) -> None:
    report = read(text)
    assert (report.outcome, report.verdict) == ("not understood", "Not understood. Nothing here speaks of addresses.")
    assert not report.variants
    assert not report.findings


def test_a_described_pod_is_named_in_its_events(read: Read) -> None:
    lines = (
        "Events:",
        "  Normal   Scheduled  3m  default-scheduler  Successfully assigned shop/cart-5f7 to node-1",
        EVENT + MESSAGES["range-exhausted"],
    )
    (found,) = read("\n".join(lines)).findings
    assert found.entities["pods"] == ["shop/cart-5f7"]


def test_lock_timeouts_explain_unreadable_answers(read: Read) -> None:
    (found,) = read(f"{EVENT}{MESSAGES['lock-timeout']}\n{EVENT}{MESSAGES['empty-plugin-output']}").findings
    assert (found.kind, [each.kind for each in found.consequences]) == ("lock-timeout", ["empty-plugin-output"])
    assert {found.kind for found in read(EVENT + MESSAGES["empty-plugin-output"]).findings} == {"empty-plugin-output"}


@pytest.mark.parametrize(
    "text",
    [
        EVENT + MESSAGES["unipam-full"],
        '{"code": 999, "msg": "no IP addresses available in range set: 10.60.28.1-10.60.28.14",\n'
        ' "details": "13 of 13 held, 2 in doubt: unipam explain kubenet"}',
    ],
)
def test_a_refusal_of_ours_is_not_host_locals(read: Read, text: str) -> None:
    (found,) = read(text).findings
    assert (found.kind, found.subject) == ("unipam-full", "kubenet")
    assert "13 of 13 held" in found.title
    assert "(2 of them)" in found.meaning
    assert "`unipam explain kubenet`" in found.action


def test_a_late_release_by_name_says_whose_address_it_was(read: Read) -> None:
    old, new = "9" * 64, "2" * 64
    head = "Dec 12 20:2{}:27 slave kubelet[11608]: "
    lines = (
        head.format(1)
        + f'time="2017-12-12T20:21:27+08:00" level=info msg="Configured environment: [CNI_CONTAINERID={new}]"',
        head.format(1) + 'time="2017-12-12T20:21:27+08:00" level=info msg="Extracted identifiers" Workload=ns.etcd-0',
        head.format(1) + "Calico CNI IPAM assigned addresses IPv4=[192.168.176.97] IPv6=[]",
        head.format(2)
        + f'time="2017-12-12T20:22:24+08:00" level=info msg="Configured environment: [CNI_CONTAINERID={old}]"',
        head.format(2)
        + 'time="2017-12-12T20:22:24+08:00" level=info msg="Released address using workloadID" Workload=ns.etcd-0',
    )
    report = read("\n".join(lines))
    (found,) = report.findings
    assert (found.kind, found.subject, found.values["holder"], found.values["caller"]) == (
        "release-by-workload",
        "ns.etcd-0",
        new,
        old,
    )
    given = next(event for track in report.timeline for event in track.events if event.verb == "given")
    assert (given.address, given.pod, given.container) == ("192.168.176.97", "ns/etcd-0", new)


@pytest.mark.parametrize(
    "wrap", ['{"log":"%s\\n","stream":"stderr","time":"2025-03-01T18:20:18Z"}', '{"MESSAGE":"%s","_PID":"7"}']
)
def test_log_lines_in_a_collectors_json_are_read(read: Read, wrap: str) -> None:
    line = "2025/03/05 18:16:10 [1] [ipam] Address request completed with address:10.0.0.5/16"
    assert [track.subject for track in read(wrap % line).timeline] == ["10.0.0.5"]


def test_overlay_is_no_advice_on_an_overlay_cluster(read: Read) -> None:
    full = "(SubnetIsFull) Subnet aks with address prefix 10.0.0.0/29 does not have enough capacity for 1 IP addresses."
    full += "\n\n"
    nnc = (
        "NAME     REQUESTED IPS   ALLOCATED IPS   SUBNET   SUBNET CIDR   NC ID   NC MODE   NC TYPE   NC VERSION\n"
        "node-1   0               256                                   9c6a    static    overlay   0\n"
    )
    (alone,), (beside,) = read(full).findings, read(full + nnc).findings
    assert "or overlay" in alone.action
    assert "overlay" not in beside.action
    assert "On this cluster pods take no address of it" in beside.meaning
