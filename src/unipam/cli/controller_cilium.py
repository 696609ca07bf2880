"""The options of `unipam controller --cilium`: the flags of cilium-operator-azure, where there are any."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unipam.cli import controller_azure
from unipam.cli.cilium_flags import Duration, switch
from unipam.cli.output import show
from unipam.cli.progress import remark
from unipam.cli.table import View, column

if TYPE_CHECKING:
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.controllers.cilium.pods import Pods
    from unipam.controllers.cloud import Cloud
    from unipam.controllers.run import Make
    from unipam.dialects.cilium.node import CiliumNode
    from unipam.dialects.cilium.planning import Policy

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--cilium", is_flag=True, help="Give nodes the addresses that their CiliumNodes ask for."),
    click.option("--azure-subscription-id", default="", envvar="AZURE_SUBSCRIPTION_ID", metavar="ID",
                 help="cilium: the nodes' subscription. [default: this machine's]"),
    click.option("--azure-resource-group", default="", envvar="AZURE_RESOURCE_GROUP", metavar="NAME",
                 help="cilium: the nodes' resource group (MC_...). [default: this machine's]"),
    click.option("--azure-user-assigned-identity-id", default="", envvar="AZURE_USER_ASSIGNED_IDENTITY_ID",
                 metavar="ID", help="cilium: the client id of the managed identity to sign in as."),
    switch("azure-use-primary-address", "cilium: give pods the interfaces' own addresses."),
    switch("azure-release-excess-ips", "cilium: take from nodes what they have too much."),
    switch("azure-blocks", "cilium: give interfaces that stand alone blocks of sixteen addresses (/28)."),
    click.option("--excess-ip-release-delay", type=Duration(), default=180.0, show_default=True, metavar="SECONDS",
                 help="cilium: how long it must have been too much."),
    click.option("--excess-formula", type=click.Choice(["current", "1.17"]), default="current", show_default=True,
                 help="cilium: how much is too much; 1.17 stands for that release and those before."),
    switch("strict-max-allocate", "cilium: let max-allocate bound the watermark, too."),
)  # fmt: skip


_DIFFERENCES = View("cilium-difference", tuple(map(column, ("node", "action", "detail", "theirs"))), name="node")
_WITHIN = 120.0


def options(command: F) -> F:
    """Give a command these options."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


def group(given: Mapping[str, Any]) -> str:
    """Return the id of the nodes' resource group; what nobody says is asked of this machine. Raises UsageError."""
    from unipam.clients.azure import imds
    from unipam.model.errors import SourceFailed

    found = {}
    for option, field in (("azure_subscription_id", "subscriptionId"), ("azure_resource_group", "resourceGroupName")):
        try:
            found[option] = given[option] or imds.read(field)
        except SourceFailed as error:
            flag = f"--{option.replace('_', '-')}"
            raise click.UsageError(f"--cilium needs {flag}: the nodes' own (MC_...); {error.message}") from error
    return f"/subscriptions/{found['azure_subscription_id']}/resourceGroups/{found['azure_resource_group']}"


def policy(given: Mapping[str, Any]) -> Policy:
    """Return what the options say of addresses."""
    from unipam.dialects.cilium.planning import Policy

    return Policy(
        release=given["azure_release_excess_ips"],
        release_after=given["excess_ip_release_delay"],
        strict=given["strict_max_allocate"],
        use_primary=given["azure_use_primary_address"],
        first_excess=given["excess_formula"] == "1.17",
        blocks=given["azure_blocks"],
    )


def make(given: Mapping[str, Any], cloud: Callable[[], Cloud]) -> Make:
    """Return what makes the operator. Raises UsageError."""
    from unipam.clients.kubernetes.objects import Objects
    from unipam.clients.mirror import Mirror
    from unipam.controllers.cilium import pods
    from unipam.controllers.cilium.controller import Operator
    from unipam.controllers.cilium.writing import Writer
    from unipam.controllers.log import tell
    from unipam.dialects.cilium.node import PATH, node_of

    where, how = group(given), policy(given)

    def operator(api: Any) -> Operator:
        nodes = Objects(api, PATH, lambda each: str(each["metadata"]["name"]), node_of)
        seen = pods.pods(api)

        def watched() -> pods.Pods:
            return pods.Pods(Mirror(seen, lambda: None), pods.endpoints_of(api), tell)

        return Operator(where, how, lambda wake: Mirror(nodes, wake), Writer(api), cloud(), tell, watched)

    return operator


def rehearse(given: Mapping[str, Any], output: str) -> None:
    """Show what the operator would do about the cluster, and change nothing. Raises SourceFailed, UsageError."""
    from unipam.clients.azure import credentials
    from unipam.clients.azure.arm import Arm
    from unipam.clients.azure.write.jobs import send
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.controllers.cilium import rehearsal

    where, how = group(given), policy(given)
    settings = controller_azure.settings(given)
    api, arm = KubernetesApi(given["kubeconfig"]), Arm(settings, credentials.own(settings))
    try:
        nodes, pods = _read(api)
        found, problems = rehearsal.rehearse(where, how, nodes, lambda ask: send(arm, ask), pods)
    finally:
        api.close()
        arm.close()
    for each in problems:
        remark(each)
    show([each._asdict() for each in found], output, _DIFFERENCES, empty="every node is as it should be")


def _read(api: KubernetesApi) -> tuple[dict[str, CiliumNode], Callable[[], Pods]]:
    """Read the CiliumNodes, and the pods as far as they may be read. Raises SourceFailed."""
    from unipam.clients.kubernetes.api import Refusal
    from unipam.clients.kubernetes.collection import read_all
    from unipam.controllers.cilium import pods
    from unipam.controllers.log import tell
    from unipam.dialects.cilium.node import PATH, node_of
    from unipam.model.errors import SourceFailed

    deadline = time.monotonic() + _WITHIN
    try:
        _, nodes = read_all(api, PATH, node_of, deadline)
        _, seen = read_all(api, pods.PODS, lambda each: (pods.name_of(each), pods.pod_of(each)), deadline)
    except Refusal as error:
        raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
    listed = pods.Listed(dict(seen))
    return {each.name: each for each in nodes}, lambda: pods.Pods(listed, pods.endpoints_of(api), tell)
