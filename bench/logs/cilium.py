"""The Cilium agent's log: endpoints that come and go, policies, controllers, and an allocation that fails."""

from __future__ import annotations

from collections.abc import Iterator

from bench.logs.pods import Act, acts

_FORMS = {
    "ADD": (
        'info msg="Create endpoint request" addressing="&{{{ip} 3f4c default  }}" containerID={container} '
        'datapathConfiguration="&{{false true false true 0xc000f1c2aa}}" interface=lxc{short} '
        'k8sPodName={namespace}/{pod} labels="[]" subsys=daemon sync-build=true',
        'info msg="New endpoint" ciliumEndpointName={namespace}/{pod} containerID={short} datapathPolicyRevision=0 '
        "desiredPolicyRevision=0 endpointID={id} ipv4={ip} ipv6= k8sPodName={namespace}/{pod} subsys=endpoint",
        'info msg="Resolving identity labels (blocking)" ciliumEndpointName={namespace}/{pod} endpointID={id} '
        'identityLabels="k8s:app=web,k8s:io.kubernetes.pod.namespace={namespace}" ipv4={ip} subsys=endpoint',
        'info msg="Identity of endpoint changed" ciliumEndpointName={namespace}/{pod} containerID={short} '
        'datapathPolicyRevision=0 endpointID={id} identity=24{id} identityLabels="k8s:app=web,k8s:io.kubernetes.pod.'
        'namespace={namespace}" ipv4={ip} ipv6= k8sPodName={namespace}/{pod} oldIdentity="no identity" subsys=endpoint',
        'info msg="Waiting for endpoint to be generated" ciliumEndpointName={namespace}/{pod} containerID={short} '
        "endpointID={id} identity=24{id} ipv4={ip} ipv6= k8sPodName={namespace}/{pod} subsys=endpoint",
        'info msg="Rewrote endpoint BPF program" ciliumEndpointName={namespace}/{pod} containerID={short} '
        "datapathPolicyRevision=0 desiredPolicyRevision=1 endpointID={id} identity=24{id} ipv4={ip} ipv6= "
        "k8sPodName={namespace}/{pod} subsys=endpoint",
        'info msg="Successful endpoint creation" ciliumEndpointName={namespace}/{pod} containerID={short} '
        "endpointID={id} identity=24{id} ipv4={ip} ipv6= k8sPodName={namespace}/{pod} subsys=daemon",
        'debug msg="Controller func execution" name=sync-to-k8s-ciliumendpoint subsys=controller uuid={uid}',
    ),
    "DEL": (
        'info msg="Delete endpoint request" endpointID="container-id:{container}" k8sPodName={namespace}/{pod} '
        "subsys=daemon",
        'info msg="Releasing key" key="[k8s:app=web k8s:io.kubernetes.pod.namespace={namespace}]" '
        "subsys=allocator",
        'info msg="Removed endpoint" ciliumEndpointName={namespace}/{pod} containerID={short} endpointID={id} '
        "identity=24{id} ipv4={ip} ipv6= k8sPodName={namespace}/{pod} subsys=endpoint",
    ),
    "AGAIN": (
        'info msg="Delete endpoint request" endpointID="container-id:{container}" subsys=daemon',
        'warning msg="Unable to delete endpoint" error="endpoint not found" endpointID={id} subsys=daemon',
        'info msg="Conntrack garbage collector interval recalculated" deleteRatio=0.0{id} newInterval=7m30s '
        "subsys=map-ct",
    ),
    "FAIL": (
        'warning msg="Unable to allocate IP" error="No more IPs available" k8sPodName={namespace}/{pod} subsys=ipam',
    ),
}  # fmt: skip


def lines() -> Iterator[str]:
    """Yield the agent's log, a call at a time."""
    for number, act in enumerate(acts()):
        stamp, fields = f'time="{act.at:%Y-%m-%dT%H:%M:%S}Z" level=', _fields(act, number)
        yield "".join(f"{stamp}{form.format_map(fields)}\n" for form in _FORMS[act.verb])


def _fields(act: Act, number: int) -> dict[str, str]:
    fixed = {"ip": f"10.244.1.{act.slot}", "short": act.container[:10], "id": str(100 + number % 900)}
    return {"container": act.container, "namespace": act.namespace, "pod": act.pod, "uid": act.uid, **fixed}
