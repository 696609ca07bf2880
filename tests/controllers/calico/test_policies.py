"""How long garbage is waited for: by the option, else by what somebody has chosen for the cluster, else a minute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.clients.fake_api_server import Say, fake_api_server, status
from tests.dialects.calico.seen import block, pod, running, seen

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.controllers.calico import policies
from unipam.controllers.calico.policies import of_cluster
from unipam.dialects.calico.datastore.keys import ControllersKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.rules.garbage import Policy, look
from unipam.model.errors import SourceFailed


def chosen(text: str | None) -> tuple[Policy, list[str]]:
    """The policy in a cluster that says so, and what is told."""
    store, told = MemoryDatastore(), list[str]()
    if text is not None:
        document = {"metadata": {"name": "default"}, "spec": {"controllers": {"node": {"leakGracePeriod": text}}}}
        store.put(ControllersKey(), json.dumps(document).encode())
    return of_cluster(store, lambda event, **_: told.append(event)), told


@pytest.mark.parametrize(
    ("text", "policy"),
    [(None, Policy()), ("15m0s", Policy()), ("5m", Policy(grace=300.0)), ("0s", Policy(of_living=False))],
)
def test_what_the_cluster_says(text: str | None, policy: Policy) -> None:
    assert chosen(text)[0] == policy


def test_what_is_no_duration_says_nothing_and_is_told() -> None:
    assert chosen("soon") == (Policy(), ["configuration not read"])


@pytest.mark.parametrize(("code", "raised"), [(403, False), (404, False), (503, True)])
def test_what_may_not_be_read_says_nothing_and_who_does_not_answer_is_asked_again(
    code: int, raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "_WITHIN", 1.0)
    told: list[str] = []

    def answer(asked: Any) -> Say:
        return Say(200, {"resources": []}) if asked.target.count("/") < 4 else status(code, "No", "no")

    with fake_api_server(tmp_path, answer) as server:
        store = KubernetesDatastore(KubernetesApi(str(server.kubeconfig)), "crd.projectcalico.org/v1")
        try:
            if raised:
                with pytest.raises(SourceFailed):
                    of_cluster(store, lambda event, **_: told.append(event))
            else:
                assert of_cluster(store, lambda event, **_: told.append(event)) == Policy()
        finally:
            store.close()
    assert told == ([] if raised else ["configuration not read"])


def test_at_zero_what_living_nodes_hold_is_left_to_them() -> None:
    """AC-19: as in the original, what nodes have left that are gone goes all the same."""
    first = block("10.0.0.0/30", "host:n1", ("10.0.0.1", pod("gone")), ("10.0.0.2", pod("lost", node="n9")))
    second = block("10.0.0.4/30", "host:n1")
    sight = seen(first, second, pods={"other": running("10.0.0.3")})
    everything = look(sight, {}, Policy(0, 0, 0), 1.0, 0)
    assert ({leak.lease.name for leak in everything.leaks}, len(everything.empty)) == ({"gone", "lost"}, 1)
    some = look(sight, {}, Policy(0, 0, 0, of_living=False), 1.0, 0)
    assert ({leak.lease.name for leak in some.leaks}, some.empty) == ({"lost"}, ())
