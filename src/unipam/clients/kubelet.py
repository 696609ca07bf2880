"""What the kubelet's own credentials let a node ask the Kubernetes API: its own Node object, and nothing else."""

from __future__ import annotations

from unipam.model.errors import SourceFailed

TIMEOUT = 3.0
"""Seconds for the whole exchange: a launcher gives an agent 4 in all."""


def pod_ranges(kubeconfig: str, name: str) -> tuple[str, ...]:
    """`spec.podCIDRs` of the node `name`. Raises SourceFailed."""
    try:
        import httpx
        import lightkube
        from lightkube.core.exceptions import LightkubeException
        from lightkube.resources.core_v1 import Node
    except ImportError:
        raise SourceFailed(
            "the environment ipv6NodeIpam needs a Kubernetes client: pip install 'unipam[kubernetes]'"
        ) from None
    try:
        config = lightkube.KubeConfig.from_file(kubeconfig)
        client = lightkube.Client(config=config, timeout=httpx.Timeout(TIMEOUT), trust_env=False)
        node = client.get(Node, name)
    except (LightkubeException, httpx.HTTPError, OSError, ValueError) as error:
        raise SourceFailed(f"cannot read node {name} with {kubeconfig}: {error}", source=kubeconfig) from None
    spec = node.spec
    return tuple((spec.podCIDRs if spec else None) or ())
