"""What CiliumNodes, agents and Azure disagree on, and what nodes lack (spec cilium §1.11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from unipam.dialects.cilium.formulas import needed
from unipam.dialects.cilium.nics import Nic
from unipam.dialects.cilium.node import RELEASED, CiliumNode
from unipam.model.finding import Finding

Pods = Mapping[str, Mapping[str, str]]
"""By node and address: the pods that Cilium does not run."""


def findings(
    nodes: Sequence[CiliumNode], nics: Mapping[str, Sequence[Nic]] | None = None, others: Pods | None = None
) -> list[Finding]:
    """Return what is wrong; `nics` are the interfaces by machine (small letters), None where Azure was not asked.

    `others` are the pods that Cilium does not run, None where that is not known.
    """
    found = [each for node in nodes for each in _of_node(node)]
    found += _shared(nodes)
    if nics is not None:
        found += [each for node in nodes for each in _against_azure(node, nics.get(node.instance, ()))]
    if others is not None:
        found += [each for node in nodes for each in _against_pods(node, (nics or {}).get(node.instance, ()), others)]
    return sorted(found)


def _of_node(node: CiliumNode) -> Iterator[Finding]:
    if not node.instance:
        yield Finding(
            "no machine", node.name, "it has no spec.instance-id", "look whether its agent runs in Azure mode"
        )
    if outside := node.used - node.pool:
        text = f"its agent uses {_some(outside)}, which its pool does not have"
        yield Finding(
            "used outside of the pool", node.name, text, "delete these pods, so that they get other addresses"
        )
    short = needed(len(node.pool), node.in_use, node.wanted)
    if node.error:
        yield Finding("operator refused", node.name, node.error, "see what Azure says; it is tried again")
    elif short:
        text = f"it has {len(node.pool)} addresses, uses {node.in_use} and needs {short} more"
        yield Finding(
            "node short", node.name, text, "look whether the operator runs, and what its log says of the node"
        )
    for ip in sorted(ip for ip, state in node.release.items() if state == RELEASED and ip in node.pool):
        text = f"{ip} is said to be released, and is in the pool"
        yield Finding("release stuck", node.name, text, "restart the node's agent, if it stays so for minutes")


def _shared(nodes: Iterable[CiliumNode]) -> Iterator[Finding]:
    holders: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for ip in node.pool:
            holders[ip].append(node.name)
    for ip, names in sorted(holders.items()):
        if len(names) > 1:
            text = f"it is in the pools of {', '.join(sorted(names))}"
            yield Finding("address of two nodes", ip, text, "see at Azure whose interface has it; restart the operator")


def _against_azure(node: CiliumNode, nics: Sequence[Nic]) -> Iterator[Finding]:
    if not nics:
        text = f"Azure has no machine {node.instance} with an interface in this resource group"
        yield Finding(
            "no machine", node.name, text, "delete its CiliumNode, if the machine is gone; else name its group"
        )
        return
    at_azure = {each.ip for nic in nics for each in nic.present}
    if gone := node.pool - at_azure:
        in_use = gone & node.used
        text = f"its pool has {_some(gone)}, and its interfaces have not; {len(in_use)} of them in use"
        yield Finding(
            "pool without interface", node.name, text, "delete the pods that use them; the operator does the rest"
        )
    if lost := node.used - node.pool - at_azure:
        text = f"its agent uses {_some(lost)}, which neither its pool nor its interfaces have"
        yield Finding("used without interface", node.name, text, "delete these pods: nobody else can reach them")
    if unknown := at_azure - node.pool:
        text = f"its interfaces have {_some(unknown)}, and its pool has not"
        yield Finding("interface without pool", node.name, text, "look whether the operator runs: it publishes them")


def _against_pods(node: CiliumNode, nics: Iterable[Nic], others: Pods) -> Iterator[Finding]:
    here = others.get(node.name, {})
    of_machine = node.pool | {each.ip for nic in nics for each in nic.addresses if not each.primary}
    for ip, pod in sorted(here.items()):
        if ip not in of_machine or ip in node.used:
            continue
        offered = "and its pool offers it to others" if ip in node.pool else "and it is left to it"
        text = f"{ip} is in use by {pod}, which Cilium does not run, {offered}"
        yield Finding("used by something else", node.name, text, f"recreate {pod}")


def _some(addresses: Iterable[str]) -> str:
    ordered = sorted(addresses)
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return ", ".join(ordered[:5]) + more
