"""`unipam cluster`: what nodes have, need and wait for, and what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unipam.cli import cluster_azure
from unipam.cli.output import format_option, list_options, show, show_list
from unipam.cli.table import Row, View, column, number

if TYPE_CHECKING:
    from unipam.dialects.cilium.node import CiliumNode
    from unipam.dialects.kubenet.node import Node
    from unipam.model.finding import Finding

F = TypeVar("F", bound=Callable[..., Any])

_WITHIN = 60.0
_NODES = View(
    "cluster-node",
    (
        column("node"),
        column("system"),
        number("has"),
        column("ranges"),
        column("route", wide=True),
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
_table_option = click.option("--route-table", default="", metavar="ID",
                             help="kubenet: compare with this route table, too: its resource id.")  # fmt: skip
_COMPARED = (
    click.option("--azure-group", default="", metavar="ID",
                 help="Compare with Azure's interfaces, too: /subscriptions/ID/resourceGroups/MC_GROUP."),
    click.option("--cluster-cidr", default="", metavar="CIDR[,CIDR]",
                 help="Where kubenet's nodes have their ranges: these are looked at, too."),
    _table_option,
    click.option("--node-subnet", default="", metavar="ID", help="kubenet: the nodes' subnet, which is to use it."),
    click.option("--route-limit", default=400, show_default=True, help="kubenet: how many routes a table may have."),
)  # fmt: skip


def _comparing(command: F) -> F:
    """Give a command the options that say with what to compare."""
    for each in reversed(_COMPARED):
        command = each(command)
    return command


@click.group("cluster")
def command() -> None:
    """Look at a cluster whose nodes have their addresses of Cilium's Azure IPAM, or of kubenet."""


@command.command("show")
@_table_option
@_kubeconfig_option
@list_options
def cluster_show(kubeconfig: str, route_table: str, output: str) -> None:
    """Show for each node what it has, uses and needs, and how it stands.

    \b
    Examples:
      unipam cluster show
      unipam cluster show --kubeconfig ~/.kube/config -o json
      unipam cluster show --route-table /subscriptions/.../routeTables/NAME
      unipam cluster show --watch
    """
    show_list(lambda: _rows(kubeconfig, route_table), output, _NODES, empty="the cluster has no node")


@command.command("check")
@_comparing
@_kubeconfig_option
@list_options
def cluster_check(kubeconfig: str, output: str, **given: Any) -> None:
    """Say what is wrong, and the way out. Exit code 1 when something is.

    \b
    Examples:
      unipam cluster check
      unipam cluster check --cluster-cidr 10.244.0.0/16 --watch
      unipam cluster check --cluster-cidr 10.244.0.0/16 --route-table /subscriptions/.../routeTables/NAME
      unipam cluster check --azure-group /subscriptions/ID/resourceGroups/MC_GROUP
    """
    found: list[Finding] = []

    def rows() -> list[Row]:
        found[:] = _findings(*_read(kubeconfig), given)
        return [each._asdict() for each in found]

    show_list(rows, output, _FINDINGS, empty="nothing is wrong")
    if found:
        click.get_current_context().exit(1)


@command.command("explain")
@click.argument("what", metavar="NODE|ADDRESS")
@_comparing
@_kubeconfig_option
@format_option
def cluster_explain(what: str, kubeconfig: str, output: str, **given: Any) -> None:
    """Say whose an address is and in which state, or all that is known of a node.

    \b
    Examples:
      unipam cluster explain 10.240.0.17
      unipam cluster explain aks-np0-vmss000000
    """
    nodes, cilium = _read(kubeconfig)
    rows = [*_explained(what, nodes, cilium)]
    found = _findings(nodes, cilium, given)
    wrong = [each for each in found if what == each.about or what in each.text.replace(",", "").split()]
    rows += [{"node": each.about, "fact": each.kind, "value": f"{each.text}; {each.way_out}"} for each in wrong]
    if not rows:
        raise click.ClickException(f"no node is called {what!r} or has that address; unipam cluster show lists them")
    show(rows, output, _FACTS)


def _rows(kubeconfig: str, route_table: str) -> list[Row]:
    nodes, cilium = _read(kubeconfig)
    table = cluster_azure.read("", route_table).table
    hops = _hops(table.routes) if table else {}
    of_kubenet = [_of_kubenet(each, hops) for each in nodes if each.ranges or not cilium]
    return [_of_cilium(each) for each in cilium] + of_kubenet


def _hops(routes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return where a table's routes lead to, by their prefixes as they are written."""
    properties = [each.get("properties") or {} for each in routes]
    return {str(each.get("addressPrefix")): str(each.get("nextHopIpAddress") or "") for each in properties}


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


def _findings(nodes: Sequence[Node], cilium: Sequence[CiliumNode], given: Mapping[str, Any]) -> list[Finding]:
    """Return what is wrong by what there is to compare. Raises SourceFailed, BadConfig, UsageError."""
    from unipam.dialects.cilium.looking import findings as of_cilium
    from unipam.dialects.cilium.nics import nics_of
    from unipam.dialects.kubenet import looking
    from unipam.dialects.kubenet.policy import policy

    if given["route_table"] and not given["cluster_cidr"]:
        raise click.UsageError("--route-table needs --cluster-cidr: which of its routes are nodes'")
    azure = cluster_azure.read(given["azure_group"], given["route_table"])
    found: list[Finding] = []
    if cilium:
        nics: dict[str, list[Any]] = {}
        for nic in nics_of(azure.interfaces or ()):
            nics.setdefault(nic.instance, []).append(nic)
        found += of_cilium(cilium, nics if azure.interfaces is not None else None)
    if given["cluster_cidr"]:
        found += looking.findings(
            nodes, policy(given["cluster_cidr"]), table=azure.table, subnet=given["node_subnet"],
            limit=given["route_limit"],
            interfaces=None if azure.interfaces is None else looking.interfaces_of(azure.interfaces),
        )  # fmt: skip
    return found


def _of_cilium(node: CiliumNode) -> Row:
    from unipam.dialects.cilium.formulas import needed

    short = needed(len(node.pool), node.in_use, node.wanted)
    going = f"{len(node.release)} being released" if node.release else "complete"
    return {
        "node": node.name, "system": "cilium", "has": len(node.pool), "ranges": "", "route": "", "uses": node.in_use,
        "needs": short, "state": _error(node) or (f"waits for {short}" if short else going), "machine": node.instance,
    }  # fmt: skip


def _of_kubenet(node: Node, hops: Mapping[str, str]) -> Row:
    status, reason = node.condition
    state = reason or ("no route yet" if node.ranges else "no range yet")
    return {
        "node": node.name, "system": "kubenet", "has": len(node.ranges), "ranges": ",".join(node.ranges),
        "route": ",".join(hops[each] for each in node.ranges if each in hops), "uses": None,
        "needs": 0 if node.ranges else 1, "state": "route created" if status == "False" else state,
        "machine": node.machine,
    }  # fmt: skip


def _explained(what: str, nodes: Iterable[Node], cilium: Iterable[CiliumNode]) -> Iterable[Row]:
    from unipam.addr.prefix import parse_address

    for node in nodes:
        if node.name == what:
            yield from (
                {"node": what, "fact": name, "value": _text(value)} for name, value in _of_kubenet(node, {}).items()
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
