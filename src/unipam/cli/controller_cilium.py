"""The options of `unipam controller --cilium`: the flags of cilium-operator-azure, where there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from unipam.controllers.cloud import Cloud
    from unipam.controllers.run import Make

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--cilium", is_flag=True, help="Give nodes the addresses that their CiliumNodes ask for."),
    click.option("--azure-subscription-id", default="", help="cilium: the nodes' subscription."),
    click.option("--azure-resource-group", default="", help="cilium: the nodes' resource group (MC_...)."),
    click.option("--azure-use-primary-address", is_flag=True, help="cilium: give pods the interfaces' own addresses."),
    click.option("--azure-release-excess-ips", is_flag=True, help="cilium: take from nodes what they have too much."),
    click.option("--excess-ip-release-delay", type=click.IntRange(0), default=180, show_default=True, metavar="SECONDS",
                 help="cilium: how long it must have been too much."),
    click.option("--strict-max-allocate", is_flag=True, help="cilium: let max-allocate bound the watermark, too."),
)  # fmt: skip


def options(command: F) -> F:
    """Give a command these options."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


def make(given: Mapping[str, Any], cloud: Callable[[], Cloud]) -> Make:
    """Return what makes the operator. Raises UsageError."""
    from unipam.clients.kubernetes.objects import Objects
    from unipam.clients.mirror import Mirror
    from unipam.controllers.cilium import pods
    from unipam.controllers.cilium.controller import Operator
    from unipam.controllers.cilium.writing import Writer
    from unipam.controllers.log import tell
    from unipam.dialects.cilium.node import PATH, node_of
    from unipam.dialects.cilium.planning import Policy

    if not (given["azure_subscription_id"] and given["azure_resource_group"]):
        raise click.UsageError(
            "--cilium needs --azure-subscription-id and --azure-resource-group: the nodes' own (MC_...)"
        )
    group = f"/subscriptions/{given['azure_subscription_id']}/resourceGroups/{given['azure_resource_group']}"
    policy = Policy(
        release=given["azure_release_excess_ips"],
        release_after=float(given["excess_ip_release_delay"]),
        strict=given["strict_max_allocate"],
        use_primary=given["azure_use_primary_address"],
    )

    def operator(api: Any) -> Operator:
        nodes = Objects(api, PATH, lambda each: str(each["metadata"]["name"]), node_of)
        seen = pods.pods(api)

        def watched() -> pods.Pods:
            return pods.Pods(Mirror(seen, lambda: None), pods.endpoints_of(api), tell)

        return Operator(group, policy, lambda wake: Mirror(nodes, wake), Writer(api), cloud(), tell, watched)

    return operator
