"""`unipam cluster`: what nodes have, need and wait for, and what is wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from unipam.cli.output import format_option, list_options, show, show_list
from unipam.cli.table import Row, View, column, number

if TYPE_CHECKING:
    from unipam.dialects.cilium.node import CiliumNode
    from unipam.dialects.kubenet.node import Node
    from unipam.dialects.kubenet.policy import Policy
    from unipam.model.finding import Finding

_WITHIN = 60.0
_NODES = View(
    "cluster-node",
    (
        column("node"),
        column("system"),
        number("has"),
        column("ranges"),
        number("uses"),
        number("needs"),
        column("state"),
        column("machine", wide=True),
    ),
    name="node",
)
_FINDINGS = View("cluster-finding", tuple(map(column, ("kind", "about", "text", "way_out"))), name="about")
_FACTS = View("cluster-fact", tuple(map(column, ("node", "fact", "value"))), name="node")


_kubeconfig_option = click.option("--kubeconfig", default="", envvar="KUBECONFIG", metavar="FILE",
                                  help="The cluster. [default: the one that this pod runs in]")  # fmt: skip
_cidr_option = click.option("--cluster-cidr", default="", metavar="CIDR[,CIDR]",
                            help="Where kubenet's nodes have their ranges: these are looked at, too.")  # fmt: skip


@click.group("cluster")
def command() -> None:
    """Look at a cluster whose nodes have their addresses of Cilium's Azure IPAM, or of kubenet."""


@command.command("show")
@_kubeconfig_option
@list_options
def cluster_show(kubeconfig: str, output: str) -> None:
    """Show for each node what it has, uses and needs, and how it stands.

    \b
    Examples:
      unipam cluster show
      unipam cluster show --kubeconfig ~/.kube/config -o json
      unipam cluster show --watch
    """
    show_list(lambda: _rows(kubeconfig), output, _NODES, empty="the cluster has no node")


@command.command("check")
@click.option("--azure-group", default="", metavar="ID",
              help="Compare with Azure, too: /subscriptions/ID/resourceGroups/MC_GROUP.")  # fmt: skip
@_cidr_option
@_kubeconfig_option
@format_option
@click.pass_context
def cluster_check(context: click.Context, kubeconfig: str, cluster_cidr: str, azure_group: str, output: str) -> None:
    """Say what is wrong, and the way out. Exit code 1 when something is.

    \b
    Examples:
      unipam cluster check
      unipam cluster check --cluster-cidr 10.244.0.0/16
      unipam cluster check --azure-group /subscriptions/ID/resourceGroups/MC_GROUP
    """
    found = _findings(*_read(kubeconfig), _policy(cluster_cidr), azure_group)
    show([each._asdict() for each in found], output, _FINDINGS, empty="nothing is wrong")
    if found:
        context.exit(1)


@command.command("explain")
@click.argument("what", metavar="NODE|ADDRESS")
@_cidr_option
@_kubeconfig_option
@format_option
def cluster_explain(what: str, kubeconfig: str, cluster_cidr: str, output: str) -> None:
    """Say whose an address is and in which state, or all that is known of a node.

    \b
    Examples:
      unipam cluster explain 10.240.0.17
      unipam cluster explain aks-np0-vmss000000
    """
    nodes, cilium = _read(kubeconfig)
    rows = [*_explained(what, nodes, cilium)]
    found = _findings(nodes, cilium, _policy(cluster_cidr), "")
    wrong = [each for each in found if what == each.about or what in each.text.replace(",", "").split()]
    rows += [{"node": each.about, "fact": each.kind, "value": f"{each.text}; {each.way_out}"} for each in wrong]
    if not rows:
        raise click.ClickException(f"no node is called {what!r} or has that address; unipam cluster show lists them")
    show(rows, output, _FACTS)


def _rows(kubeconfig: str) -> list[Row]:
    nodes, cilium = _read(kubeconfig)
    return [_of_cilium(each) for each in cilium] + [_of_kubenet(each) for each in nodes if each.ranges or not cilium]


def _read(kubeconfig: str) -> tuple[list[Node], list[CiliumNode]]:
    """Read the Nodes, and the CiliumNodes where there are any. Raises SourceFailed."""
    from unipam.clients.kubernetes.api import KubernetesApi, Refusal
    from unipam.clients.kubernetes.collection import read_all
    from unipam.dialects.cilium import node as cilium
    from unipam.dialects.kubenet import node as kubenet
    from unipam.model.errors import SourceFailed

    api = KubernetesApi(kubeconfig)
    deadline = time.monotonic() + _WITHIN
    try:
        _, nodes = read_all(api, "/api/v1/nodes", kubenet.node_of, deadline)
        try:
            _, of_cilium = read_all(api, cilium.PATH, cilium.node_of, deadline)
        except Refusal as error:
            if error.status != 404:
                raise
            of_cilium = []
    except Refusal as error:
        raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
    finally:
        api.close()
    return nodes, of_cilium


def _policy(cluster_cidr: str) -> Policy | None:
    from unipam.dialects.kubenet.policy import policy

    return policy(cluster_cidr) if cluster_cidr else None


def _findings(
    nodes: Sequence[Node], cilium: Sequence[CiliumNode], policy: Policy | None, azure_group: str
) -> list[Finding]:
    from unipam.dialects.cilium.looking import findings as of_cilium
    from unipam.dialects.kubenet.ranges import findings as of_ranges

    found = of_cilium(cilium, _interfaces(azure_group) if azure_group else None) if cilium else []
    return found + (of_ranges(nodes, policy) if policy else [])


def _interfaces(group: str) -> dict[str, list[Any]]:
    """Return the interfaces of a resource group, by their machines. Raises SourceFailed."""
    from unipam.clients.azure import credentials
    from unipam.clients.azure.arm import Arm
    from unipam.clients.azure.settings import from_environment
    from unipam.dialects.cilium.machine import COMPUTE, NETWORK, SCALE_SET_NICS
    from unipam.dialects.cilium.nics import nics_of

    settings = from_environment(os.environ)
    arm = Arm(settings, credentials.own(settings))
    try:
        documents = arm.every(f"{group}/providers/Microsoft.Network/networkInterfaces", NETWORK, list[dict[str, Any]])
        sets = f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets"
        for each in arm.every(sets, COMPUTE, list[dict[str, Any]]):
            documents += arm.every(f"{each['id']}/networkInterfaces", SCALE_SET_NICS, list[dict[str, Any]])
    finally:
        arm.close()
    found: dict[str, list[Any]] = {}
    for nic in nics_of(documents):
        found.setdefault(nic.instance, []).append(nic)
    return found


def _of_cilium(node: CiliumNode) -> Row:
    from unipam.dialects.cilium.formulas import needed

    short = needed(len(node.pool), node.in_use, node.wanted)
    going = f"{len(node.release)} being released" if node.release else "complete"
    return {
        "node": node.name, "system": "cilium", "has": len(node.pool), "ranges": "", "uses": node.in_use, "needs": short,
        "state": _error(node) or (f"waits for {short}" if short else going), "machine": node.instance,
    }  # fmt: skip


def _of_kubenet(node: Node) -> Row:
    status, reason = node.condition
    state = reason or ("no route yet" if node.ranges else "no range yet")
    return {
        "node": node.name, "system": "kubenet", "has": len(node.ranges), "ranges": ",".join(node.ranges), "uses": None,
        "needs": 0 if node.ranges else 1, "state": "route created" if status == "False" else state, "machine": "",
    }  # fmt: skip


def _explained(what: str, nodes: Iterable[Node], cilium: Iterable[CiliumNode]) -> Iterable[Row]:
    from unipam.addr.prefix import parse_address

    for node in nodes:
        if node.name == what:
            yield from (
                {"node": what, "fact": name, "value": _text(value)} for name, value in _of_kubenet(node).items()
            )
        try:
            inside = any(each.first <= parse_address(what) <= each.last for each in node.prefixes)
        except ValueError:
            inside = False
        if inside:
            yield {"node": node.name, "fact": "range", "value": ",".join(node.ranges)}
    for each in cilium:
        if each.name == what:
            yield from ({"node": what, "fact": name, "value": _text(value)} for name, value in _of_cilium(each).items())
        elif what in each.pool or what in each.used or what in each.release:
            yield from _of_address(what, each)


def _of_address(address: str, node: CiliumNode) -> Iterable[Row]:
    used = ((node.document.get("status") or {}).get("ipam") or {}).get("used") or {}
    pool = ((node.document.get("spec") or {}).get("ipam") or {}).get("pool") or {}
    yield {"node": node.name, "fact": "in the pool", "value": "yes" if address in pool else "no"}
    yield {"node": node.name, "fact": "interface", "value": (pool.get(address) or {}).get("resource", "")}
    yield {"node": node.name, "fact": "used by", "value": (used.get(address) or {}).get("owner", "nobody")}
    if address in node.release:
        yield {"node": node.name, "fact": "release", "value": node.release[address]}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _error(node: CiliumNode) -> str:
    status = ((node.document.get("status") or {}).get("ipam") or {}).get("operator-status") or {}
    return str(status.get("error") or "")
