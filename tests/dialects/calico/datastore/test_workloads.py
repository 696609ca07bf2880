"""Pods as Calico's workload endpoints: which addresses they use."""

from __future__ import annotations

from typing import Any

import pytest

from unipam.dialects.calico.datastore.workloads import show


def pod(status: dict[str, Any], annotations: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    metadata = {"name": "web-0", "namespace": "d", "annotations": annotations or {}, **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"nodeName": "node-1", **more}, "status": status}


EMPTIED = {"cni.projectcalico.org/podIP": ""}


@pytest.mark.parametrize(
    ("found", "networks", "ended"),
    [
        (pod({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "podIP": "10.0.0.1"}), ["10.0.0.1", "fd00::1"], False),
        (pod({"podIP": "10.0.0.1"}), ["10.0.0.1"], False),
        (pod({}, {"cni.projectcalico.org/podIPs": "10.0.0.1/32,fd00::1/128"}), ["10.0.0.1/32", "fd00::1/128"], False),
        (pod({}, {"cni.projectcalico.org/podIP": "10.0.0.1/32"}), ["10.0.0.1/32"], False),
        (pod({}), [], False),
        (pod({"podIP": "10.0.0.1"}, hostNetwork=True), [], False),
        (pod({"podIP": "10.0.0.1"}, nodeName=""), [], False),
        (pod({"podIP": "10.0.0.1", "phase": "Succeeded"}), [], True),
        (pod({"podIP": "10.0.0.1", "phase": "Failed"}), [], True),
        (pod({"podIP": "10.0.0.1"}, metadata={"deletionTimestamp": "x"}), ["10.0.0.1"], False),
        (
            pod({"podIP": "10.0.0.1"}, metadata={"deletionTimestamp": "x", "annotations": EMPTIED}),
            [],
            True,
        ),
    ],
)  # fmt: skip
def test_addresses(found: dict[str, Any], networks: list[str], ended: bool) -> None:
    shown = show(found)
    assert shown["spec"]["ipNetworks"] == networks
    assert shown["status"]["ended"] is ended


def test_names() -> None:
    """Dashes of node and pod are doubled, so that those between them stand out."""
    shown = show(pod({}))
    assert shown["metadata"] == {"name": "node--1-k8s-web--0-eth0", "namespace": "d"}
    assert (shown["spec"]["node"], shown["spec"]["pod"]) == ("node-1", "web-0")
