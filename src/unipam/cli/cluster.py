"""`unipam cluster`: what nodes have, need and wait for, and what is wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from unipam.cli.output import list_options, show_list
from unipam.cli.progress import remark
from unipam.cli.table import Row, View, column, number

if TYPE_CHECKING:
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.dialects.cilium.node import CiliumNode
    from unipam.dialects.kubenet.node import Node
    from unipam.dialects.kubenet.policy import Policy
    from unipam.model.finding import Finding

_WITHIN, _ASK_WITHIN = 60.0, 5.0
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
        column("waits", wide=True),
        column("machine", wide=True),
    ),
    name="node",
)
_FINDINGS = View(
    "cluster-finding", tuple(map(column, ("kind", "about", "text", "way_out"))), name="about", within=("kind", "text")
)
_FACTS = View("cluster-fact", tuple(map(column, ("node", "fact", "value"))), name="fact", within=("node",))


_kubeconfig_option = click.option("--kubeconfig", default="", envvar="KUBECONFIG", metavar="FILE",
                                  help="The cluster. [default: the one that this pod runs in]")  # fmt: skip
_cidr_option = click.option("--cluster-cidr", default="", metavar="CIDR[,CIDR]",
                            help="Where kubenet's nodes have their ranges: these are looked at, too.")  # fmt: skip


_group_option = click.option("--azure-group", default="", metavar="ID",
                             help="Compare with Azure, too: /subscriptions/ID/resourceGroups/MC_GROUP.")  # fmt: skip


@click.group("cluster")
def command() -> None:
    """Look at a cluster whose nodes have their addresses of Cilium's Azure IPAM, or of kubenet."""


@command.command("show")
@_kubeconfig_option
@click.option("--controller", default="", metavar="HOST:PORT",
              help="Ask the leading controller there, too, for which request to Azure a node waits.")  # fmt: skip
@list_options
def cluster_show(kubeconfig: str, controller: str, output: str) -> None:
    """Show for each node what it has, uses and needs, how it stands, and what it waits for.

    \b
    Examples:
      unipam cluster show
      unipam cluster show --kubeconfig ~/.kube/config -o json
      unipam cluster show --watch --controller 127.0.0.1:9518
    """
    show_list(lambda: _rows(kubeconfig, controller), output, _NODES, empty="the cluster has no node")


@command.command("check")
@_group_option
@_cidr_option
@_kubeconfig_option
@list_options
@click.pass_context
def cluster_check(context: click.Context, kubeconfig: str, cluster_cidr: str, azure_group: str, output: str) -> None:
    """Say what is wrong, and the way out. Exit code 1 when something is.

    \b
    Examples:
      unipam cluster check
      unipam cluster check --cluster-cidr 10.244.0.0/16
      unipam cluster check --azure-group /subscriptions/ID/resourceGroups/MC_GROUP
      unipam cluster check --watch
    """
    found: list[Finding] = []

    def read() -> list[Row]:
        found[:] = _findings(_read(kubeconfig), _policy(cluster_cidr), azure_group)
        return [each._asdict() for each in found]

    show_list(read, output, _FINDINGS, empty="nothing is wrong")
    if found:
        context.exit(1)


@command.command("explain")
@click.argument("what", metavar="NODE|ADDRESS")
@_group_option
@_cidr_option
@_kubeconfig_option
@list_options
def cluster_explain(what: str, kubeconfig: str, cluster_cidr: str, azure_group: str, output: str) -> None:
    """Say whose an address is and in which state, or all that is known of a node.

    \b
    Examples:
      unipam cluster explain 10.240.0.17
      unipam cluster explain aks-np0-vmss000000
      unipam cluster explain 10.240.0.17 --azure-group /subscriptions/ID/resourceGroups/MC_GROUP --watch
    """
    policy = _policy(cluster_cidr)
    show_list(lambda: _explain(what, _read(kubeconfig), policy, azure_group), output, _FACTS)


def _explain(what: str, seen: Seen, policy: Policy | None, azure_group: str) -> list[Row]:
    nics = _interfaces(azure_group) if azure_group and seen.cilium else None
    rows = [*_explained(what, seen, nics)]
    wrong = [each for each in _found(seen, policy, nics) if what == each.about or what in _words(each.text)]
    rows += [{"node": each.about, "fact": each.kind, "value": f"{each.text}; {each.way_out}"} for each in wrong]
    if not rows:
        raise click.ClickException(f"no node is called {what!r} or has that address; unipam cluster show lists them")
    return rows


def _words(text: str) -> list[str]:
    return text.replace(",", "").split()


def _rows(kubeconfig: str, controller: str) -> list[Row]:
    seen = _read(kubeconfig)
    waiting = _waiting(controller) if controller else {}
    of_kubenet = [_of_kubenet(each) for each in seen.nodes if each.ranges or not seen.cilium]
    return [_of_cilium(each, waiting.get(each.instance, "")) for each in seen.cilium] + of_kubenet


def _waiting(controller: str) -> dict[str, str]:
    """Return by machine what it waits for, as the controller tells. Raises SourceFailed."""
    import http.client
    import json

    from unipam.model.errors import SourceFailed

    connection = http.client.HTTPConnection(controller, timeout=_ASK_WITHIN)
    try:
        connection.request("GET", "/waiting")
        rows = json.loads(connection.getresponse().read())["items"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        problem = f"the controller at {controller} does not tell what waits: {error or type(error).__name__}"
        raise SourceFailed(problem, source="controller") from error
    finally:
        connection.close()
    return {
        str(each["job"]).lower(): f"{each['what']}: {each['why']}, for {each['for']} s, {each['in']} s more"
        for each in rows
    }


class Seen(NamedTuple):
    """A cluster's Nodes and CiliumNodes, and by node and address the pods; those that Cilium runs, where it says so."""

    nodes: list[Node]
    cilium: list[CiliumNode]
    pods: dict[str, dict[str, str]] | None = None
    others: dict[str, dict[str, str]] | None = None


def _read(kubeconfig: str) -> Seen:
    """Read the Nodes, and the CiliumNodes and pods where there are any of these. Raises SourceFailed."""
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
        pods, others = _pods(api, deadline) if of_cilium else (None, None)
    except Refusal as error:
        raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
    finally:
        api.close()
    return Seen(nodes, of_cilium, pods, others)


def _pods(api: KubernetesApi, deadline: float) -> tuple[dict[str, dict[str, str]] | None, ...]:
    """Return by node and address all pods, and those that Cilium does not run; None for what may not be known."""
    from unipam.clients.kubernetes.api import Refusal
    from unipam.clients.kubernetes.collection import read_all
    from unipam.controllers.cilium import pods
    from unipam.model.errors import SourceFailed

    try:
        _, found = read_all(api, pods.PODS, lambda each: (pods.name_of(each), pods.pod_of(each)), deadline)
    except (SourceFailed, Refusal) as error:
        remark(f"pods were not looked at: {error}")
        return None, None
    every = pods.by_node(dict(found))
    of_cilium = pods.endpoints_of(api)()
    others = None if of_cilium is None else {
        node: {ip: "/".join(name) for ip, name in at.items() if name not in of_cilium} for node, at in every.items()
    }  # fmt: skip
    return {node: {ip: "/".join(name) for ip, name in at.items()} for node, at in every.items()}, others


def _policy(cluster_cidr: str) -> Policy | None:
    from unipam.dialects.kubenet.policy import policy

    return policy(cluster_cidr) if cluster_cidr else None


def _findings(seen: Seen, policy: Policy | None, azure_group: str) -> list[Finding]:
    return _found(seen, policy, _interfaces(azure_group) if azure_group and seen.cilium else None)


def _found(seen: Seen, policy: Policy | None, nics: dict[str, list[Any]] | None) -> list[Finding]:
    from unipam.dialects.cilium.looking import findings as of_cilium
    from unipam.dialects.kubenet.ranges import findings as of_ranges

    found = of_cilium(seen.cilium, nics, seen.others) if seen.cilium else []
    return found + (of_ranges(seen.nodes, policy) if policy else [])


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


def _of_cilium(node: CiliumNode, waits: str = "") -> Row:
    from unipam.dialects.cilium.formulas import needed

    short = needed(len(node.pool), node.in_use, node.wanted)
    going = f"{len(node.release)} being released" if node.release else "complete"
    return {
        "node": node.name, "system": "cilium", "has": len(node.pool), "ranges": "", "uses": node.in_use, "needs": short,
        "state": node.error or (f"waits for {short}" if short else going), "machine": node.instance,
        "waits": waits,
    }  # fmt: skip


def _of_kubenet(node: Node) -> Row:
    status, reason = node.condition
    state = reason or ("no route yet" if node.ranges else "no range yet")
    return {
        "node": node.name, "system": "kubenet", "has": len(node.ranges), "ranges": ",".join(node.ranges), "uses": None,
        "needs": 0 if node.ranges else 1, "state": "route created" if status == "False" else state, "machine": "",
        "waits": "",
    }  # fmt: skip


def _explained(what: str, seen: Seen, nics: dict[str, list[Any]] | None) -> Iterable[Row]:
    from unipam.addr.prefix import parse_address
    from unipam.dialects.cilium.explaining import address_facts, node_facts

    for node in seen.nodes:
        if node.name == what and (node.ranges or not seen.cilium):
            facts = _of_kubenet(node)
            yield from ({"node": what, "fact": name, "value": _text(value)} for name, value in facts.items())
        try:
            inside = any(each.first <= parse_address(what) <= each.last for each in node.prefixes)
        except ValueError:
            inside = False
        if inside:
            yield {"node": node.name, "fact": "range", "value": ",".join(node.ranges)}
    for each in seen.cilium:
        pods = None if seen.pods is None else seen.pods.get(each.name, {})
        of = node_facts(each, nics) if each.name == what else address_facts(what, each, nics, pods)
        yield from (fact._asdict() for fact in of)


def _text(value: object) -> str:
    return "" if value is None else str(value)
