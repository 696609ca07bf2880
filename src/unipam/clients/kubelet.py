"""What the kubelet's own credentials let a node ask the Kubernetes API: its own Node object, and nothing else."""

from __future__ import annotations

from unipam.model.errors import SourceFailed

TIMEOUT = 1.0
"""Seconds for each of connecting, sending and waiting: a launcher gives an agent 4 in all."""


def pod_ranges(kubeconfig: str, name: str) -> tuple[str, ...]:
    """Read `spec.podCIDRs` of the node `name` with the credentials in a kubeconfig file. Raises SourceFailed."""
    try:
        import httpx2
        import lightkube
        from lightkube.core.exceptions import ConfigError
        from lightkube.resources.core_v1 import Node
    except ImportError:
        raise SourceFailed(
            "the environment ipv6NodeIpam needs a Kubernetes client: pip install 'unipam[kubernetes]'"
        ) from None
    try:
        config = lightkube.KubeConfig.from_file(kubeconfig)
    except Exception as error:  # noqa: BLE001 (a file that is no kubeconfig makes the library raise anything)
        raise _failed(kubeconfig, name, error) from None
    try:
        client = lightkube.Client(config=config, timeout=httpx2.Timeout(TIMEOUT), trust_env=False)
        spec = client.get(Node, name).spec
    except (ConfigError, httpx2.HTTPError, OSError, ValueError) as error:
        raise _failed(kubeconfig, name, error) from None
    return tuple((spec.podCIDRs if spec else None) or ())


def _failed(kubeconfig: str, name: str, error: Exception) -> SourceFailed:
    problem = str(error) or type(error).__name__
    return SourceFailed(f"cannot read node {name} with {kubeconfig}: {problem}", source=kubeconfig)
