"""What the garbage controller remembers, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.clients.fake_api_server import Asked, Say, fake_api_server
from tests.dialects.calico.cluster import Cluster

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.controllers.calico.controller import CalicoGarbage
from unipam.controllers.calico.observing import Observed
from unipam.controllers.term import Term
from unipam.dialects.calico.rules.garbage import Policy, Seen, Suspect
from unipam.dialects.calico.rules.liveness import Living

GONE: Suspect = ("node", "host-b", None)


class Mirrors:
    """A cluster whose node host-b is gone."""

    problems: tuple[str, ...] = ()

    def look(self, before: Mapping[Suspect, float], at: float) -> Observed:
        claims: Any = {}
        return Observed(Seen({}, {}, claims, Living({}, frozenset())), (), (), False, before, at)

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_suspect_of_an_earlier_term_is_a_new_one(tmp_path: Path) -> None:
    """While another process led it may have been in order again: its time begins anew, as in a new process."""

    def answer(asked: Asked) -> Say:
        raise AssertionError(f"{asked.target} was asked for")

    cluster = Cluster(transactional=True)
    with fake_api_server(tmp_path, answer) as server, closing(KubernetesApi(str(server.kubeconfig))) as api:
        controller = CalicoGarbage(cluster.store, api, lambda *_, **__: None, Policy(grace=60.0))
        controller._mirrors = Mirrors()  # type: ignore[assignment]
        term = Term(3600)
        controller.observe(term)
        controller._suspects = {GONE: 1.0}
        assert controller.observe(term).before == {GONE: 1.0}
        assert controller.observe(Term(3600)).before == {}
        controller.close()
    cluster.close()
