"""What CiliumNodes, agents and Azure disagree on."""

from __future__ import annotations

from typing import Any

from tests.dialects.cilium.test_nodes import captured, interface, nic

from unipam.dialects.cilium.looking import findings
from unipam.dialects.cilium.nics import nics_of
from unipam.dialects.cilium.node import CiliumNode, node_of

READY = captured("ciliumnode-2-first-pool.json")
NICS = nics_of([interface(READY)])


def made(name: str = "n", pool: int = 8, used: int = 0, **status: Any) -> CiliumNode:
    addresses = [f"10.240.0.{5 + i}" for i in range(max(pool, used))]
    return node_of({
        "metadata": {"name": name},
        "spec": {"instance-id": "/m", "ipam": {"pool": {key: {} for key in addresses[:pool]}}},
        "status": {"ipam": {"used": {key: {} for key in addresses[:used]}, **status}},
    })  # fmt: skip


def kinds(*nodes: CiliumNode, **given: Any) -> list[tuple[str, str]]:
    return [(each.kind, each.about) for each in findings(nodes, **given)]


def test_a_node_that_has_all_it_needs_is_not_named() -> None:
    node = node_of(READY)
    assert kinds(node) == []
    assert kinds(node, nics={node.instance: NICS}) == []


def test_what_is_wrong_with_a_node_alone() -> None:
    assert kinds(made(pool=0)) == [("node short", "n")]
    assert kinds(node_of(captured("ciliumnode-403.json"))) == [("node short", "aks-np0-vmss000003")]
    told = made(pool=0, **{"operator-status": {"error": "SubnetIsFull: full"}})
    assert findings([told])[0].text == "SubnetIsFull: full"
    assert kinds(made(pool=8, used=9)) == [("node short", "n"), ("used outside of the pool", "n")]
    assert kinds(made(**{"release-ips": {"10.240.0.5": "released"}})) == [("release stuck", "n")]
    assert ("no machine", "x") in kinds(node_of({"metadata": {"name": "x"}}))


def test_two_nodes_with_one_address() -> None:
    (found,) = findings([made("a", pool=8), made("b", pool=8)])[:1]
    assert (found.kind, found.about, found.text) == (
        "address of two nodes",
        "10.240.0.10",
        "it is in the pools of a, b",
    )


def test_two_nodes_with_one_machine() -> None:
    """Also where no operator runs that would say so, and where it did: once."""
    first, second = made("a", pool=8), made("b", **{"operator-status": {"error": "told"}})
    assert first.instance == second.instance
    (found,) = [each for each in findings([first, second]) if each.about == "b"]
    assert (found.kind, found.text) == ("machine of two nodes", "its machine is that of CiliumNode a")
    assert found.way_out == "delete the one of the two that is not there"


def test_a_pod_that_something_else_runs_is_named() -> None:
    """Offered by the pool, it is about to be given twice; on the interface alone, it is left to the pod."""
    others = {"n": {"10.240.0.5": "shop/web-0", "10.240.0.14": "shop/web-1", "10.9.9.9": "kube-system/dns"}}
    (offered,) = findings([made()], None, others)
    assert (offered.kind, offered.text) == (
        "used by something else",
        "10.240.0.5 is in use by shop/web-0, which Cilium does not run, and its pool offers it to others",
    )
    both = [each for each in findings([made()], {"/m": [nic(count=12)]}, others) if each.kind == offered.kind]
    assert [each.text.rpartition(", ")[2] for each in both] == [
        "and it is left to it",
        "and its pool offers it to others",
    ]
    assert kinds(made(used=1), others=others) == [("node short", "n")], "the agent says that it is its own"


def test_what_is_used_and_nowhere_else() -> None:
    found = findings([made(pool=6, used=9)], {"/m": [nic(count=6)]})
    (lost,) = [each for each in found if each.kind == "used without interface"]
    assert lost.text.startswith("its agent uses 10.240.0.11, 10.240.0.12, 10.240.0.13")


def test_what_azure_says_otherwise() -> None:
    node = made(pool=8, used=8)._replace(instance="/m")
    fewer = [nic(count=6)]
    (gone,) = [each for each in findings([node], {"/m": fewer}) if each.kind == "pool without interface"]
    assert (
        gone.text == "its pool has 10.240.0.10, 10.240.0.11, 10.240.0.12, and its interfaces have not; 3 of them in use"
    )
    more = findings([made(pool=8)], {"/m": [nic(count=12)]})
    assert [(each.kind, each.text) for each in more] == [
        ("interface without pool", "its interfaces have 10.240.0.13, 10.240.0.14, 10.240.0.15, and its pool has not")
    ]
    assert kinds(made(), nics={}) == [("no machine", "n")]
