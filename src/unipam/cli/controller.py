"""`unipam controller`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from unipam.cli import cilium_flags, controller_azure, controller_cilium, controller_kubenet
from unipam.cli.numbers import Number
from unipam.cli.output import format_option

if TYPE_CHECKING:
    from unipam.controllers.cloud import Cloud
    from unipam.controllers.election import Timing
    from unipam.controllers.run import Make
    from unipam.dialects.calico.where import Where


@click.command("controller")
@click.option("--calico", is_flag=True, help="Free what pods and nodes that are gone hold of Calico's addresses.")
@click.option("--kubeconfig", default="", envvar="KUBECONFIG", metavar="FILE",
              help="The cluster. [default: the one that this pod runs in]")  # fmt: skip
@click.option("--namespace", default="kube-system", show_default=True, envvar="POD_NAMESPACE",
              help="Where the lease is by which one of several processes leads.")  # fmt: skip
@click.option("--lease", default="unipam-controller", show_default=True, help="The lease's name.")
@click.option("--identity", default="", envvar="POD_NAME", help="Who this is. [default: host name and process id]")
@click.option("--listen", default="127.0.0.1:9518", show_default=True, metavar="HOST:PORT",
              help="Where /metrics, /healthz and /readyz are; '' for nowhere.")  # fmt: skip
@click.option("--grace", type=Number(5, 86400), metavar="SECONDS",
              help="How long something must have been garbage before it is removed. [default: leakGracePeriod of the "
              "cluster's KubeControllersConfiguration where somebody has chosen one, else 60]")  # fmt: skip
@click.option("--datastore", type=click.Choice(["kubernetes", "etcdv3"]), default="kubernetes", show_default=True,
              envvar="DATASTORE_TYPE", help="Where Calico keeps its documents.")  # fmt: skip
@click.option("--etcd-endpoints", default="", envvar="ETCD_ENDPOINTS", metavar="URL[,URL...]", help="Calico's etcd.")
@click.option("--etcd-ca-file", default="", envvar="ETCD_CA_CERT_FILE", metavar="FILE", help="Whom to trust there.")
@click.option("--etcd-cert-file", default="", envvar="ETCD_CERT_FILE", metavar="FILE", help="What to show there.")
@click.option("--etcd-key-file", default="", envvar="ETCD_KEY_FILE", metavar="FILE", help="The certificate's key.")
@click.option("--api-group", default="", metavar="GROUP/VERSION",
              help="Of Calico's resources in Kubernetes. [default: the server is asked]")  # fmt: skip
@controller_kubenet.options
@controller_cilium.options
@cilium_flags.options
@click.option("--limit-ipam-api-qps", type=Number(0.01), default=4.0, show_default=True,
              help="How many requests a second are asked of an Azure subscription.")  # fmt: skip
@click.option("--limit-ipam-api-burst", type=click.IntRange(1), default=20, show_default=True,
              help="How many of them at once, after a rest.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="cilium, kubenet: say what would be done, do nothing, and end.")
@format_option
@click.pass_context
def command(
    context: click.Context, /, *, calico: bool, kubenet: bool, cilium: bool, dry_run: bool, output: str, **given: Any
) -> None:
    """Keep the cluster's addresses in order, as long as this process leads.

    Of several processes with the same lease one leads, and another one takes over within two seconds when it ends.

    \b
    Examples:
      unipam controller --calico
      unipam controller --calico --kubeconfig ~/.kube/config --grace 30
      unipam controller --calico --datastore etcdv3 --etcd-endpoints https://10.0.0.1:2379
      unipam controller --cilium --azure-subscription-id ID --azure-resource-group MC_GROUP
      unipam controller --cilium --config-dir /tmp/cilium/config-map --dry-run
      unipam controller --kubenet --cluster-cidr 10.244.0.0/16 --route-table /subscriptions/.../routeTables/NAME
      unipam controller --kubenet --cluster-cidr 10.244.0.0/16 --route-table ID --dry-run
    """
    from unipam.controllers.run import Settings, run

    given = cilium_flags.renamed(given)
    if dry_run:
        if calico or kubenet == cilium:
            raise click.UsageError("--dry-run is for --cilium alone, or for --kubenet alone")
        _tell_unused(context)
        (controller_kubenet if kubenet else controller_cilium).rehearse(given, output)
        return
    cloud = functools.cache(lambda: _azure(given))
    makes = [
        *([_calico(_where(given), given["grace"])] if calico else []),
        *([controller_kubenet.make(given, cloud)] if kubenet else []),
        *([controller_cilium.make(given, cloud)] if cilium else []),
    ]
    if not makes:
        raise click.UsageError("name a controller: --calico, --kubenet or --cilium")
    _tell_unused(context)
    names = ("kubeconfig", "namespace", "lease", "identity", "listen")
    of_azure = kubenet or cilium
    waiting = (lambda: cloud().waiting()) if of_azure else list
    run(Settings(tuple(makes), **{name: given[name] for name in names}, timing=_timing(given), waiting=waiting))


def _timing(given: dict[str, Any]) -> Timing:
    """Return the times of the election. Raises UsageError."""
    from unipam.controllers.election import Timing
    from unipam.model.errors import BadConfig

    names = ("lease_duration", "renew_deadline", "retry_period")
    try:
        return Timing(*(given[f"leader_election_{each}"] for each in names)).checked()
    except BadConfig as error:
        raise click.UsageError(error.message) from error


def _tell_unused(context: click.Context) -> None:
    """Log which flags of Cilium's operator were given and have no effect here."""
    from unipam.controllers.log import tell

    flags, others = cilium_flags.without_effect(context), cilium_flags.of_others(context)
    if flags or others:
        tell("flags without effect", flags=flags, of_others=others)


def _azure(given: dict[str, Any]) -> Cloud:
    """Return Azure, as whom the environment says. Raises BadConfig."""
    from unipam.clients.azure import credentials
    from unipam.clients.azure.arm import Arm
    from unipam.clients.azure.write.budget import Budget
    from unipam.controllers.cloud import Cloud

    settings = controller_azure.settings(given)
    rate, burst = given["limit_ipam_api_qps"], given["limit_ipam_api_burst"]
    return Cloud(Arm(settings, credentials.own(settings)), lambda: Budget(rate, burst))


def _where(given: dict[str, Any]) -> Where:
    """Return where Calico's documents are."""
    from unipam.dialects.calico.where import ETCD, KUBERNETES, Where

    if given["datastore"] == KUBERNETES:
        return Where(KUBERNETES, kubeconfig=given["kubeconfig"], api_group=given["api_group"])
    endpoints = tuple(each.strip() for each in given["etcd_endpoints"].split(",") if each.strip())
    if not endpoints:
        raise click.UsageError("--datastore etcdv3 needs --etcd-endpoints")
    return Where(ETCD, endpoints, given["etcd_ca_file"], given["etcd_cert_file"], given["etcd_key_file"])


def _calico(where: Where, grace: float | None) -> Make:
    from unipam.controllers.calico.controller import CalicoGarbage
    from unipam.controllers.log import tell
    from unipam.dialects.calico.connection import datastore
    from unipam.dialects.calico.rules.garbage import Policy

    policy = None if grace is None else Policy(grace=grace)
    return lambda api: CalicoGarbage(datastore(where), api, tell, policy)
