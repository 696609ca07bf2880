"""The caller's own network namespace is no container's, and whose it is does not hang on where the agent runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
from tests.real.node import Node


@pytest.mark.parametrize("warm", [True, False], ids=["agent", "cold"])
def test_a_namespace_is_refused_to_those_who_are_in_it(node: Node, namespace: Callable[[], str], warm: bool) -> None:
    here, there = namespace(), namespace()
    conf = {"cniVersion": "1.0.0", "name": "n", "type": "host-local", "ipam": node.ipam("10.1.2.0/24")}
    with node.agent() if warm else nullcontext():
        for inside, netns, refused in (
            ("", "/proc/self/ns/net", True),
            ("", f"/run/netns/{here}", False),
            (here, f"/run/netns/{here}", True),
            (here, f"/run/netns/{there}", False),
            (here, "/proc/1/ns/net", False),
        ):
            said = node.call("ADD", conf, f"c-{inside}-{netns[-4:].strip('/')}", netns=netns, inside=inside)
            assert (said.code, said.document.get("code")) == ((1, 8) if refused else (0, None)), (inside, netns)
