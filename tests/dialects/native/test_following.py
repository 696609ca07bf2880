"""Following a CiliumNode from its first moment, when the API server has not answered yet."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clients.fake_api_server import Asked, Say, status
from tests.dialects.native.cluster import Cluster
from tests.dialects.native.cluster import cluster as running

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.cni.context import Context
from unipam.dialects.host_local.pod_cidr import Node
from unipam.dialects.native import following, space, warm
from unipam.ledger.open import Ledgers
from unipam.model.errors import SourceFailed

_HELD = 1.0
"""Seconds for which the first list is held where nothing ends the wait: less than a list may take."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path, "10.240.0.10") as made:
        yield made


def meanwhile(cluster: Cluster, act: Callable[[], object]) -> None:
    """Have something done while the first list is under way."""
    done = threading.Event()

    def answer(asked: Asked) -> Say:
        if "fieldSelector" in asked.target and "watch" not in asked.target and not done.is_set():
            done.set()
            act()
        return cluster(asked)

    cluster.server._then = answer


def test_a_call_that_touches_the_ledger_does_not_end_the_wait_for_the_first_answer(
    cluster: Cluster, tmp_path: Path
) -> None:
    made: list[following.Following] = []
    ready = threading.Event()

    def touch() -> None:
        ready.wait(10)
        made[0].touch()
        made[0]._told.wait(_HELD)

    meanwhile(cluster, touch)
    made.append(following.Following(Node("n1", str(cluster.server.kubeconfig)), str(tmp_path / "state")))
    with contextlib.closing(made[0]):
        ready.set()
        made[0].wait()
        assert (made[0].problem, made[0].knows) == ("", True)


def test_nothing_is_said_of_a_node_before_its_first_answer(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each start of an agent would log a failure."""
    monkeypatch.setattr(warm, "_followed", {})
    whose, directory = Node("n1", str(cluster.server.kubeconfig)), str(tmp_path / "state")
    context = Context(Ledgers())
    warm.refresh(whose, directory, context, {})  # cold: the ledger has the node's name from now on
    seen = threading.Event()
    meanwhile(cluster, lambda: seen.wait(_HELD))
    assert warm.keep_warm(context, directory) == []
    with contextlib.closing(warm._followed[whose]):
        seen.set()
        warm._followed[whose].wait()
        (learnt,) = warm.keep_warm(context, directory)
        assert (learnt.space, learnt.error) == (space.SPACE, "")


@pytest.mark.parametrize("named", [False, True])
def test_a_server_that_has_just_started_says_of_no_node_that_it_is_gone(cluster: Cluster, named: bool) -> None:
    """Until it has read the definitions of resources it answers 404 for each of them; one that is gone it names."""
    gone = status(404, "NotFound", 'ciliumnodes.cilium.io "n1" not found', "n1")
    cluster.server._then = lambda _: gone if named else Say(404, b"404 page not found\n")
    with contextlib.closing(KubernetesApi(str(cluster.server.kubeconfig))) as api:
        whose = Node("n1", str(cluster.server.kubeconfig))
        if named:
            assert following.read(api, whose) == following.absent(whose)
        else:
            with pytest.raises(SourceFailed, match="404 page not found"):
                following.read(api, whose)
