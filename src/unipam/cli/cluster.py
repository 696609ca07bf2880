"""`unipam cluster`: what nodes have, need and wait for, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unipam.cli import cluster_azure, cluster_reading, controller_kubenet
from unipam.cli.output import list_options, show_list
from unipam.cli.table import Row, View, column, number

if TYPE_CHECKING:
    from unipam.cli.cluster_azure import Azure
    from unipam.cli.cluster_reading import Seen
    from unipam.dialects.cilium.node import CiliumNode
    from unipam.dialects.kubenet.node import Node
    from unipam.model.finding import Finding

F = TypeVar("F", bound=Callable[..., Any])

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
        column("waits", wide=True),
        column("machine", wide=True),
    ),
    name="node",
    within=("system",),
)
_FINDINGS = View(
    "cluster-finding", tuple(map(column, ("kind", "about", "text", "way_out"))), name="about", within=("kind", "text")
)
_FACTS = View("cluster-fact", tuple(map(column, ("node", "fact", "value"))), name="fact", within=("node",))


_kubeconfig_option = click.option("--kubeconfig", default="", envvar="KUBECONFIG", metavar="FILE",
                                  help="The cluster. [default: the one that this pod runs in]")  # fmt: skip
_table_option = click.option("--route-table", default="", metavar="ID",
                             help="kubenet: compare with this route table, too: its resource id.")  # fmt: skip
_COMPARED = (
    click.option("--azure-group", default="", metavar="ID",
                 help="Compare with Azure's interfaces, too: /subscriptions/ID/resourceGroups/MC_GROUP."),
    controller_kubenet.range_options,
    _table_option,
    click.option("--node-subnet", default="", metavar="ID", help="kubenet: the nodes' subnet, which is to use it."),
    click.option("--route-limit", type=click.IntRange(1), default=400, show_default=True,
                 help="kubenet: how many routes a table may have."),
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
@click.option("--controller", default="", metavar="HOST:PORT",
              help="Ask the leading controller there, too, for which request to Azure a node waits.")  # fmt: skip
@list_options
def cluster_show(kubeconfig: str, controller: str, route_table: str, output: str) -> None:
    """Show for each node what it has, uses and needs, how it stands, and what it waits for.

    \b
    Examples:
      unipam cluster show
      unipam cluster show --kubeconfig ~/.kube/config -o json
      unipam cluster show --route-table /subscriptions/.../routeTables/NAME
      unipam cluster show --watch --controller 127.0.0.1:9518
    """
    show_list(lambda: _rows(kubeconfig, controller, route_table), output, _NODES, empty="the cluster has no node")


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
      unipam cluster check --cluster-cidr 10.244.0.0/20 --node-cidr-mask-size 26 --further-cluster-cidr 10.245.0.0/20
      unipam cluster check --cluster-cidr 10.244.0.0/16 --route-table /subscriptions/.../routeTables/NAME
      unipam cluster check --azure-group /subscriptions/ID/resourceGroups/MC_GROUP
    """
    found: list[Finding] = []

    def rows() -> list[Row]:
        found[:] = _findings(cluster_reading.read(kubeconfig), _azure(given), given)
        return [each._asdict() for each in found]

    show_list(rows, output, _FINDINGS, empty="nothing is wrong")
    if found:
        click.get_current_context().exit(1)


@command.command("explain")
@click.argument("what", metavar="NODE|ADDRESS")
@_comparing
@_kubeconfig_option
@list_options
def cluster_explain(what: str, kubeconfig: str, output: str, **given: Any) -> None:
    """Say whose an address is and in which state, or all that is known of a node.

    \b
    Examples:
      unipam cluster explain 10.240.0.17
      unipam cluster explain aks-np0-vmss000000
      unipam cluster explain 10.240.0.17 --azure-group /subscriptions/ID/resourceGroups/MC_GROUP --watch
    """
    show_list(lambda: _explain(what, kubeconfig, given), output, _FACTS)


def _explain(what: str, kubeconfig: str, given: Mapping[str, Any]) -> list[Row]:
    seen, azure = cluster_reading.read(kubeconfig), _azure(given)
    rows = [*_explained(what, seen, azure)]
    found = _findings(seen, azure, given)
    wrong = [each for each in found if what == each.about or what in each.text.replace(",", "").split()]
    rows += [{"node": each.about, "fact": each.kind, "value": f"{each.text}; {each.way_out}"} for each in wrong]
    if not rows:
        raise click.ClickException(f"no node is called {what!r} or has that address; unipam cluster show lists them")
    return rows


def _rows(kubeconfig: str, controller: str, route_table: str) -> list[Row]:
    seen = cluster_reading.read(kubeconfig)
    waits = cluster_reading.waiting(controller) if controller else {}
    hops = _hops(cluster_azure.read("", route_table))
    of_kubenet = [_of_kubenet(each, hops) for each in seen.nodes if each.ranges or not seen.cilium]
    return [_of_cilium(each, waits.get(each.instance, "")) for each in seen.cilium] + of_kubenet


def _hops(azure: Azure) -> dict[str, str]:
    """Return where a table's routes lead to, by their prefixes as they are written."""
    properties = [each.get("properties") or {} for each in (azure.table.routes if azure.table else ())]
    return {str(each.get("addressPrefix")): str(each.get("nextHopIpAddress") or "") for each in properties}


def _azure(given: Mapping[str, Any]) -> Azure:
    """Read of Azure what the options name. Raises UsageError, SourceFailed, BadConfig."""
    if given["route_table"] and not given["cluster_cidr"]:
        raise click.UsageError("--route-table needs --cluster-cidr: which of its routes are nodes'")
    controller_kubenet.check_ids(given)
    return cluster_azure.read(given["azure_group"], given["route_table"])


def _findings(seen: Seen, azure: Azure, given: Mapping[str, Any]) -> list[Finding]:
    """Return what is wrong by what there is to compare. Raises BadConfig."""
    from unipam.dialects.cilium.looking import findings as of_cilium
    from unipam.dialects.kubenet import looking

    found = of_cilium(seen.cilium, azure.by_machine(), seen.others) if seen.cilium else []
    if given["cluster_cidr"]:
        found += looking.findings(
            seen.nodes, controller_kubenet.policy_of(given), table=azure.table, subnet=given["node_subnet"],
            limit=given["route_limit"],
            interfaces=None if azure.interfaces is None else looking.interfaces_of(azure.interfaces),
        )  # fmt: skip
    return found


def _of_cilium(node: CiliumNode, waits: str = "") -> Row:
    from unipam.dialects.cilium.formulas import needed

    short = needed(len(node.pool), node.in_use, node.wanted)
    going = f"{len(node.release)} being released" if node.release else "complete"
    return {
        "node": node.name, "system": "cilium", "has": len(node.pool), "ranges": "", "route": "", "uses": node.in_use,
        "needs": short, "state": node.error or (f"waits for {short}" if short else going), "machine": node.instance,
        "waits": waits,
    }  # fmt: skip


def _of_kubenet(node: Node, hops: Mapping[str, str]) -> Row:
    state = node.condition[1] or ("no route yet" if node.ranges else "no range yet")
    created = node.condition == ("False", "RouteCreated")
    return {
        "node": node.name, "system": "kubenet", "has": len(node.ranges), "ranges": ",".join(node.ranges),
        "route": ",".join(hops[each] for each in node.ranges if each in hops), "uses": None,
        "needs": 0 if node.ranges else 1, "state": "route created" if created else state,
        "machine": node.machine, "waits": "",
    }  # fmt: skip


def _explained(what: str, seen: Seen, azure: Azure) -> Iterable[Row]:
    from unipam.addr.prefix import parse_address
    from unipam.dialects.cilium.explaining import address_facts, node_facts

    nics = azure.by_machine() if seen.cilium else None
    for node in seen.nodes:
        if node.name == what and (node.ranges or not seen.cilium):
            facts = _of_kubenet(node, _hops(azure))
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
