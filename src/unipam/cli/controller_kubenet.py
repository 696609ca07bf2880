"""The options of `unipam controller --kubenet`: kube-controller-manager's flags, and which route table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unipam.cli.numbers import Number
from unipam.cli.output import show
from unipam.cli.table import View, column

if TYPE_CHECKING:
    from unipam.controllers.cloud import Cloud
    from unipam.controllers.run import Make
    from unipam.dialects.kubenet.policy import Policy

F = TypeVar("F", bound=Callable[..., Any])

_MASK = click.IntRange(1, 128)
_RANGES = (
    click.option("--cluster-cidr", default="", metavar="CIDR[,CIDR]", help="kubenet: whence nodes get ranges."),
    click.option("--further-cluster-cidr", multiple=True, metavar="CIDR",
                 help="kubenet: a range for when the first of its family is full."),
    click.option("--node-cidr-mask-size", type=_MASK, help="kubenet: the length of a node's range. [default: 24; 64]"),
    click.option("--node-cidr-mask-size-ipv4", type=_MASK, help="kubenet: the same, of a cluster of both families."),
    click.option("--node-cidr-mask-size-ipv6", type=_MASK, help="kubenet: the same, of a cluster of both families."),
    click.option("--service-cluster-ip-range", default="", metavar="CIDR[,CIDR]",
                 help="kubenet: the services' ranges, which no node is given."),
)  # fmt: skip
_OPTIONS = (
    click.option("--kubenet", is_flag=True, help="Give nodes their ranges, and keep the routes to them."),
    *_RANGES,
    click.option("--range-rest", type=Number(0), default=30.0, show_default=True, metavar="SECONDS",
                 help="kubenet: how long a deleted node's range is given to nobody, while there is another."),
    click.option("--route-table", default="", metavar="ID", help="kubenet: the route table's resource id."),
    click.option("--node-subnet", default="", metavar="ID", help="kubenet: the nodes' subnet, which is to use it."),
    click.option("--location", default="", help="kubenet: where a missing table is made. [default: nowhere]"),
    click.option("--route-limit", type=click.IntRange(1), default=400, show_default=True,
                 help="kubenet: how many routes a table may have."),
    click.option("--route-audit", type=Number(10), default=300.0, show_default=True, metavar="SECONDS",
                 help="kubenet: how long nobody looks at a table that nobody needs changed."),
    click.option("--route-settling", type=Number(0), default=30.0, show_default=True, metavar="SECONDS",
                 help="kubenet: how long Azure takes until a route that was written is used."),
)  # fmt: skip


def options(command: F) -> F:
    """Give a command these options."""
    return _with(_OPTIONS, command)


def range_options(command: F) -> F:
    """Give a command those of these options that say which ranges nodes have."""
    return _with(_RANGES, command)


def _with(several: Sequence[Callable[[F], F]], command: F) -> F:
    for each in reversed(several):
        command = each(command)
    return command


def check_ids(given: Mapping[str, Any]) -> None:
    """Raise UsageError where what is to be a resource's id is another's, or none."""
    for option, kind in _IDS.items():
        if given[option] and not re.fullmatch(re.sub("ID|GROUP|NAME", "[^/]+", kind), given[option], re.IGNORECASE):
            raise click.UsageError(f"--{option.replace('_', '-')} {given[option]!r} is no such id: {kind}")


_IN_GROUP = "/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.Network"
_IDS = {
    "route_table": f"{_IN_GROUP}/routeTables/NAME",
    "node_subnet": f"{_IN_GROUP}/virtualNetworks/NAME/subnets/NAME",
}


def policy_of(given: Mapping[str, Any]) -> Policy:
    """Return which ranges nodes may be given by these options. Raises BadConfig."""
    from unipam.dialects.kubenet.policy import policy

    return policy(
        given["cluster_cidr"],
        mask=given["node_cidr_mask_size"],
        mask_v4=given["node_cidr_mask_size_ipv4"],
        mask_v6=given["node_cidr_mask_size_ipv6"],
        services=given["service_cluster_ip_range"],
        further=given["further_cluster_cidr"],
    )


_DIFFERENCES = View(
    "kubenet-difference", tuple(map(column, ("node", "action", "what", "before", "after"))), name="node"
)


def rehearse(given: Mapping[str, Any], output: str) -> None:
    """Show what the controller would write, and write nothing. Raises BadConfig, SourceFailed, UsageError."""
    from unipam.cli import cluster_azure, cluster_reading
    from unipam.dialects.kubenet.preview import differences
    from unipam.model.errors import SourceFailed

    made = policy_of(given)
    _check_table(given)
    try:
        table = cluster_azure.read("", given["route_table"]).table
    except SourceFailed as error:
        if error.facts.get("status") != 404 or not given["location"]:
            raise
        table = None  # it would be made
    nodes = cluster_reading.read(given["kubeconfig"]).nodes
    found = differences(nodes, table.routes if table else (), made, limit=given["route_limit"])
    show([each._asdict() for each in found], output, _DIFFERENCES, empty="all is as it should be")


def _check_table(given: Mapping[str, Any]) -> None:
    if not given["route_table"]:
        raise click.UsageError("--kubenet needs --route-table: its resource id, /subscriptions/...")
    check_ids(given)


def make(given: Mapping[str, Any], cloud: Callable[[], Cloud]) -> Make:
    """Return what makes the controller. Raises BadConfig, UsageError."""
    from unipam.clients.kubernetes.objects import Objects
    from unipam.clients.mirror import Mirror
    from unipam.controllers.kubenet.controller import Kubenet
    from unipam.controllers.kubenet.table import Settings
    from unipam.controllers.kubenet.writing import Writer
    from unipam.controllers.log import tell
    from unipam.dialects.kubenet.node import node_of

    _check_table(given)
    made = policy_of(given)._replace(rest=given["range_rest"])
    settings = Settings(
        given["route_table"], given["node_subnet"], given["location"],
        given["route_limit"], given["route_audit"], given["route_settling"],
    )  # fmt: skip

    def kubenet(api: Any) -> Kubenet:
        nodes = Objects(api, "/api/v1/nodes", lambda each: str(each["metadata"]["name"]), node_of)
        return Kubenet(made, settings, lambda wake: Mirror(nodes, wake), Writer(api), cloud(), tell)

    return kubenet
