"""What is kept of a pod: where it is, whether it has ended, and every address that anybody notes of it."""

from __future__ import annotations

from typing import Any

import pytest

from unipam.addr.prefix import format_address
from unipam.controllers.calico.pods import pair
from unipam.dialects.calico.documents.pod import Pod


def read(status: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, node: str = "n1") -> Pod:
    metadata = {"name": "p", "namespace": "ns", "annotations": annotations or {}}
    name, pod = pair({"metadata": metadata, "spec": {"nodeName": node}, "status": status or {}})
    assert name == ("ns", "p")
    return pod


def addresses(pod: Pod) -> set[str]:
    return set(map(format_address, pod.addresses))


def test_addresses_are_those_of_the_status_and_of_annotations() -> None:
    status = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}
    noted = {
        "cni.projectcalico.org/podIPs": "10.0.0.2/32,fd00::2/128",
        "cni.projectcalico.org/podIP": "10.0.0.2/32",
        "k8s.v1.cni.cncf.io/network-status": '[{"name":"a","ips":["10.9.0.1"],"default":true},{"name":"b"}]',
    }
    assert addresses(read(status, noted)) == {"10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2", "10.9.0.1"}


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"ips":"x"}]', '[{"ips":["no address"]}]'])
def test_notes_that_cannot_be_read_hinder_nothing(text: str) -> None:
    noted = {"k8s.v1.cni.cncf.io/network-status": text, "cni.projectcalico.org/podIP": "nonsense"}
    assert addresses(read({"podIP": "10.0.0.1"}, noted)) == {"10.0.0.1"}


@pytest.mark.parametrize(
    ("phase", "finished"), [("Running", False), ("Pending", False), ("Succeeded", True), ("Failed", True)]
)
def test_a_pod_has_ended_by_its_phase(phase: str, finished: bool) -> None:
    assert read({"phase": phase}).finished == finished


def test_a_pod_that_waits_has_no_node() -> None:
    assert read(node="") == Pod("", (), False)
    assert pair({"metadata": {"name": "p", "namespace": "ns"}})[1] == Pod("", (), False)
