"""The flags of cilium-operator-azure, as it writes and reads them: on the command line, in a configuration directory.

What has no effect here is accepted and named when the controller starts, so that a Deployment's arguments can stay.
Names: the reference of cilium-operator-azure 1.15 and 1.20.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])

_NAMES = """
azure-cloud-name bgp-announce-lb-ip bgp-config-path ces-max-ciliumendpoints-per-ces ces-rate-limits
cilium-endpoint-gc-interval cilium-pod-labels cilium-pod-namespace cluster-id cluster-name
cluster-pool-ipv4-cidr cluster-pool-ipv4-mask-size cluster-pool-ipv6-cidr cluster-pool-ipv6-mask-size
clustermesh-cache-ttl clustermesh-concurrent-service-endpoint-syncs clustermesh-config
clustermesh-default-global-namespace clustermesh-enable-endpoint-sync clustermesh-enable-mcs-api
clustermesh-endpoint-updates-batch-period clustermesh-endpoints-per-slice clustermesh-mcs-api-install-crds
clustermesh-sync-timeout cnp-node-status-gc-interval cnp-status-cleanup-burst cnp-status-cleanup-qps
cnp-status-update-interval config controller-group-metrics debug default-lb-service-ipam
double-write-metric-reporter-interval enable-cilium-endpoint-slice enable-cilium-operator-server-access
enable-gateway-api-alpn enable-gateway-api-app-protocol enable-gateway-api-proxy-protocol
enable-gateway-api-secrets-sync enable-gops enable-ingress-controller enable-ingress-proxy-protocol
enable-ingress-secrets-sync enable-ipsec enable-ipv4 enable-ipv6 enable-k8s enable-k8s-api-discovery
enable-k8s-endpoint-slice enable-k8s-event-handover enable-l7-proxy enable-lb-ipam enable-metrics
enable-node-ipam enable-node-selector-labels enable-policy enable-policy-secrets-sync enable-wireguard
enable-ztunnel enforce-ingress-https gateway-api-hostnetwork-enabled gateway-api-hostnetwork-nodelabelselector
gateway-api-secrets-namespace gateway-api-service-externaltrafficpolicy gateway-api-use-remote-address
gateway-api-xff-num-trusted-hops gops-port identity-allocation-mode identity-gc-interval
identity-gc-rate-interval identity-gc-rate-limit identity-heartbeat-timeout identity-management-mode
ingress-default-lb-mode ingress-default-request-timeout ingress-default-secret-name
ingress-default-secret-namespace ingress-default-xff-num-trusted-hops ingress-hostnetwork-enabled
ingress-hostnetwork-http-listener-port ingress-hostnetwork-https-listener-port
ingress-hostnetwork-nodelabelselector ingress-hostnetwork-shared-listener-port
ingress-hostnetwork-tls-passthrough-listener-port ingress-lb-annotation-prefixes ingress-secrets-namespace
ingress-shared-lb-service-name ingress-use-remote-address instance-tags-filter k8s-api-server
k8s-api-server-urls k8s-client-burst k8s-client-connection-keep-alive k8s-client-connection-timeout
k8s-client-qps k8s-heartbeat-timeout k8s-service-proxy-name kvstore kvstore-lease-ttl
kvstore-max-consecutive-quorum-errors kvstore-opt leader-election-resource-lock-timeout loadbalancer-l7
loadbalancer-l7-algorithm loadbalancer-l7-ports log-driver log-opt max-connected-clusters mesh-auth-mtls-enabled
mesh-auth-spiffe-trust-domain mesh-auth-spire-agent-socket mesh-auth-spire-server-address
mesh-auth-spire-server-connection-timeout metrics-sampling-interval nodes-gc-interval operator-api-serve-addr
operator-k8s-client-burst operator-k8s-client-qps operator-pprof operator-pprof-address
operator-pprof-block-profile-rate operator-pprof-mutex-profile-fraction operator-pprof-port
operator-prometheus-enable-tls operator-prometheus-tls-cert-file operator-prometheus-tls-client-ca-files
operator-prometheus-tls-key-file parallel-alloc-workers pod-restart-selector policy-default-local-cluster
policy-external-group-sync-interval policy-secrets-namespace proxy-idle-timeout-seconds
proxy-stream-idle-timeout-seconds remove-cilium-node-taints set-cilium-is-up-condition set-cilium-node-taints
shell-sock-path skip-cnp-status-startup-clean skip-crd-creation subnet-ids-filter subnet-tags-filter
synchronize-k8s-nodes synchronize-k8s-services taint-sync-workers unmanaged-pod-watcher-interval
validate-network-policy ztunnel-ca-type
"""
_WITHOUT_EFFECT = frozenset(_NAMES.split())
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")


if TYPE_CHECKING:
    _FloatType = click.ParamType[float]
else:
    _FloatType = click.ParamType  # which click before 8.4 cannot subscript


class Duration(_FloatType):
    """A duration as Go writes it, `1m30s`, or a plain number of seconds; it becomes seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds. Fails as click's types do."""
        if isinstance(value, int | float):
            return float(value)
        found = _DURATION.fullmatch(value)
        if value.replace(".", "", 1).isdecimal():
            return float(value)
        if not value or found is None:
            self.fail(f"{value!r} is no duration: write 15s, or 1m30s", param, ctx)
        return sum(float(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1, 0.001), strict=True) if part)


def switch(name: str, text: str) -> Callable[[F], F]:
    """Return an option that is on when it is named, and as it says where it says so (`--name=false`)."""
    return click.option(f"--{name}", type=click.BOOL, is_flag=False, flag_value="true", default="false", help=text)


_DIRECTORY = click.option(
    "--config-dir", type=click.Path(exists=True, file_okay=False), is_eager=True, expose_value=True, metavar="DIR",
    callback=lambda context, _, value: _read(context, value),
    help="cilium: a directory with a file for each option (the ConfigMap cilium-config).",
)  # fmt: skip
_ALIASES = (
    click.option("--k8s-kubeconfig-path", default="", hidden=True),
    click.option("--k8s-namespace", default="", hidden=True),
    click.option("--operator-prometheus-serve-addr", default="", hidden=True),
    click.option("--ipam", default="azure", hidden=True),
    click.option("--leader-election-lease-duration", type=Duration(), default=15.0, hidden=True),
    click.option("--leader-election-renew-deadline", type=Duration(), default=10.0, hidden=True),
    click.option("--leader-election-retry-period", type=Duration(), default=2.0, hidden=True),
)


def options(command: F) -> F:
    """Give a command the flags that it knows by other names, and those without effect."""
    for name in sorted(_WITHOUT_EFFECT):
        command = click.option(f"--{name}", hidden=True, is_flag=False, flag_value="true", expose_value=False)(command)
    for each in (*_ALIASES, _DIRECTORY):
        command = each(command)
    return command


def _read(context: click.Context, directory: str | None) -> str | None:
    """Take the files of a directory for defaults; what is not the operator's is counted only."""
    if directory is None:
        return None
    known = {each.name: each for each in context.command.params if each.name}
    found, others = {}, 0
    for path in sorted(Path(directory).iterdir()):
        name = path.name.replace("-", "_")
        if path.name.startswith(".") or not path.is_file():
            continue
        if name in known and name != "config_dir":
            found[name] = _value(path)
        else:
            others += 1
    context.default_map = {**found, **(context.default_map or {})}
    context.meta["others"] = others
    return directory


def _value(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--config-dir: {path.name} cannot be read: {error}") from error


def without_effect(context: click.Context) -> list[str]:
    """Return the flags that were given, on the command line or in the directory, and that have no effect."""
    names = {each.replace("-", "_"): each for each in _WITHOUT_EFFECT}
    told = {name for name in context.default_map or {} if name in names}
    told |= {name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return sorted(names[each] for each in told)


def of_others(context: click.Context) -> int:
    """Return how many files of the directory are the agent's, or nobody's."""
    return int(context.meta.get("others", 0))


def renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given, with Cilium's names of our own options taken for these. Raises UsageError."""
    if given["ipam"] != "azure":
        raise click.UsageError(f"--ipam {given['ipam']}: this is the operator of azure; others are Cilium's own")
    return {
        **given,
        "kubeconfig": given["kubeconfig"] or given["k8s_kubeconfig_path"],
        "namespace": given["k8s_namespace"] or given["namespace"],
        "listen": given["operator_prometheus_serve_addr"] or given["listen"],
    }
