"""Nobody hears an answer: what was given is taken back, and nothing that was given to anybody else meanwhile.

A runtime that gives up asks again at once, for the same container and so under the same handle; what it gave up may
still be under way then, in an agent or in a process that nobody waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.dialects.calico.cluster import Cluster
from tests.dialects.calico.node import Node

from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.keys import BlockKey
from unipam.dialects.calico.rules import releasing
from unipam.model.errors import SourceFailed


@pytest.fixture
def node(cluster: Cluster, known: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node with two free addresses of each family."""
    monkeypatch.setattr(connection, "datastore", lambda _where: cluster.store)
    cluster.pool("v4", "10.0.0.0/31", blockSize=31)
    yield Node(cluster, known)
    connection.close()


def test_it_is_taken_back(node: Node) -> None:
    answer, _ = node.add("a")
    assert answer.undo
    answer.undo(node.context)
    assert (node.held(), node.cluster.handles()) == ({}, {})


def test_nothing_is_given_to_whom_nobody_waits_for(node: Node) -> None:
    """No block is written for it: it would only have to be taken back."""
    node.add("other")
    wrote: list[object] = []
    node.cluster.break_down(lambda call, about: wrote.append(about) if call == "write" else None)
    late = node.ask("ADD", "a", node.context._replace(heard=lambda: False))
    assert "the caller gave up" in late.stdout.decode()
    assert not [key for keys in wrote for key in keys if isinstance(key, BlockKey)]  # type: ignore[attr-defined]
    assert list(node.held()) == ["other"]
    assert node.cluster.handles() == node.cluster.recounted()


def test_not_what_the_same_container_was_given_anew(node: Node) -> None:
    node.add("other")
    late, first = node.add("a")
    node.remove("a")
    _, second = node.add("a")
    assert second == first  # no other one is free
    assert late.undo
    late.undo(node.context)
    assert node.held()["a"] == [second]
    assert node.cluster.handles() == node.cluster.recounted()


def test_nor_what_the_retry_was_given_beside_it(node: Node) -> None:
    late, first = node.add("a")
    _, second = node.add("a")
    assert late.undo
    late.undo(node.context)
    assert second != first
    assert node.held()["a"] == [second]
    assert node.cluster.handles() == node.cluster.recounted()


def test_an_undo_that_fails_says_so(node: Node) -> None:
    answer, address = node.add("a")
    assert answer.undo
    node.cluster.break_down(lambda call, _: "away" if call == "write" else None)
    with pytest.raises(SourceFailed):
        answer.undo(node.context)
    assert node.held() == {"a": [address]}
    node.cluster.break_down(lambda _call, _about: None)
    answer.undo(node.context)
    assert node.held() == {}


def test_half_of_an_add_that_failed_is_taken_back_later(node: Node) -> None:
    """There is no IPv6 pool, and the datastore is away when the IPv4 address is given back."""
    writes: list[str] = []

    def away_for_a_while(call: str, _: object) -> str | None:
        writes.extend(["write"] * (call == "write"))
        return "away" if call == "write" and node.held() else None

    node.cluster.break_down(away_for_a_while)  # type: ignore[arg-type]
    answer = node.ask("ADD", "a", assign_ipv6="true")
    assert (answer.code, list(node.held())) == (1, ["a"])
    node.cluster.break_down(lambda _call, _about: None)
    assert answer.undo
    answer.undo(node.context)
    assert node.held() == {}


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Does something when a DEL has read the block, and not yet written it; once."""

    def come_between(act: Callable[[], None]) -> None:
        release, todo = releasing.release_handle, [act]

        def released(*given: Any) -> int:
            if todo:
                todo.pop()()
            return release(*given)

        monkeypatch.setattr(releasing, "release_handle", released)

    return come_between


def test_a_late_del_leaves_what_was_added_since(node: Node, between: Callable[[Callable[[], None]], None]) -> None:
    """Its caller has given up, has removed the container by another call, and has added it again."""
    node.add("other")
    _, first = node.add("a")
    gone: list[str] = []

    def meanwhile() -> None:
        gone.append("launcher")
        cold = Node(node.cluster, False)
        cold.remove("a")
        gone.append(cold.add("a")[1])

    between(meanwhile)
    late = node.ask("DEL", "a", node.context._replace(heard=lambda: not gone))
    assert "the caller gave up" in late.stdout.decode()
    assert gone == ["launcher", first]
    assert node.held()["a"] == [first]
    assert node.cluster.handles() == node.cluster.recounted()
