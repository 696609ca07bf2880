"""What is written to a CiliumNode, in which order and under which conditions, and the events about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.fake_api_server import Asked, Say, fake_api_server, status
from tests.dialects.cilium.test_nodes import captured

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.controllers.cilium.writing import Writer
from unipam.dialects.cilium.node import Published, node_of
from unipam.model.errors import SourceFailed

SAID = Published({"10.240.0.9": {"resource": "/nic"}}, [{"id": "/nic"}], {})


class Server:
    """Notes what is written; `refused` says of a path how it is refused."""

    def __init__(self) -> None:
        self.written: list[Asked] = []
        self.refused: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Say:
        self.written.append(asked)
        for part, code in self.refused.items():
            if part in asked.target:
                return status(code, "Conflict", "no")
        return Say(200, asked.body)

    @property
    def paths(self) -> list[str]:
        return [each.target.rpartition("/v2/")[2] or each.target for each in self.written]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def writer(server: Server, tmp_path: Path) -> Iterator[Writer]:
    with fake_api_server(tmp_path, server) as made:
        api = KubernetesApi(str(made.kubeconfig))
        yield Writer(api)
        api.close()


def document() -> dict[str, Any]:
    found: dict[str, Any] = captured("ciliumnode-1-before-operator.json")
    return found


def test_a9_status_first_then_spec_for_this_very_node(server: Server, writer: Writer) -> None:
    """A9: the agent knows the interface before it sees its addresses."""
    node = node_of(document())
    assert writer.publish(node, SAID)
    name = node.name
    assert server.paths == [f"ciliumnodes/{name}/status", f"ciliumnodes/{name}"]
    assert [each.body["metadata"] for each in server.written] == [{"uid": node.uid}] * 2, "no revision: nobody collides"
    assert server.written[1].body["spec"]["ipam"]["pre-allocate"] == 8


def test_a9_what_is_as_it_should_be_is_not_written(server: Server, writer: Writer) -> None:
    """A9: unchanged: no write."""
    node = node_of(captured("ciliumnode-2-first-pool.json"))
    said = node.document["status"]["azure"]["interfaces"], node.document["spec"]["ipam"]["pool"]
    assert writer.publish(node, Published(said[1], said[0], {})), "the node says it already"
    assert server.written == []


@pytest.mark.parametrize("code", [404, 409])
def test_a9_a_conflict_is_left_to_the_next_look(server: Server, writer: Writer, code: int) -> None:
    """A9: one try; the spec is not written where the status could not be."""
    server.refused = {"/status": code}
    assert not writer.publish(node_of(document()), SAID)
    assert len(server.written) == 1


def test_the_handshake_is_written_at_the_revision_that_was_read(server: Server, writer: Writer) -> None:
    node = node_of(document())
    writer.publish(node, SAID._replace(release={"10.240.0.9": "marked-for-release"}))
    assert server.written[0].body["metadata"] == {"uid": node.uid, "resourceVersion": node.revision}


def test_an_event_is_told_of_both_names(server: Server, writer: Writer) -> None:
    """Whoever describes the CiliumNode sees it, and whoever describes the Node."""
    node = node_of(document())
    writer.tell(node, "AddressesShort", "SubnetIsFull: full", warning=True)
    about = [each.body["involvedObject"] for each in server.written]
    assert [(each["kind"], each["uid"]) for each in about] == [("CiliumNode", node.uid), ("Node", node.name)]
    assert {(each.body["type"], each.body["reason"]) for each in server.written} == {("Warning", "AddressesShort")}
    server.refused = {"/events": 422}
    with pytest.raises(SourceFailed, match="no"):
        writer.tell(node, "AddressesShort", "again", warning=True)


def test_what_the_server_refuses_is_no_accident(server: Server, writer: Writer) -> None:
    """A webhook, or a schema of an older day, refuses one CiliumNode: the writer says so as it says all else."""
    server.refused = {"/status": 422}
    with pytest.raises(SourceFailed, match=r"^Kubernetes at .*: no$"):
        writer.publish(node_of(document()), SAID)
