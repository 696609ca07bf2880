"""The members of an etcd cluster, found by the SRV records of a domain (etcd's "DNS discovery")."""

from __future__ import annotations

from unipam.clients import dns
from unipam.model.errors import SourceFailed

_SERVICES = (("_etcd-client-ssl._tcp", "https"), ("_etcd-client._tcp", "http"))


def endpoints(domain: str) -> tuple[str, ...]:
    """Return the endpoints that clients of a domain's cluster use, those over TLS first. Raises SourceFailed."""
    found = [
        f"{scheme}://{target.host}:{target.port}"
        for service, scheme in _SERVICES
        for target in dns.services(f"{service}.{domain}")
    ]
    if not found:
        names = " and ".join(f"{service}.{domain}" for service, _ in _SERVICES)
        raise SourceFailed(f"no etcd members are found by SRV records: {names} have none", source=domain)
    return tuple(found)
