"""What Kubernetes calls Calico's objects: names, and the labels of affinities (spec calico-ipam §4.3)."""

from __future__ import annotations

from unipam.dialects.calico.datastore.keys import AffinityKey

HOSTNAME_HASH = "projectcalico.org/hostname-hash"
AFFINITY_TYPE = "projectcalico.org/affinity-type"
IP_VERSION = "projectcalico.org/ip-version"

_LONGEST = 252
_HASHED = 11
"""Digits of the hash in a name that had to be cut."""


def of_cidr(cidr: str) -> str:
    """Return a CIDR as a name: `10-0-0-0-26`."""
    return cidr.translate(str.maketrans(".:/", "---"))


def of_affinity(key: AffinityKey) -> str:
    """Return the name of an affinity: the owner and the block.

    A name that would be too long is cut, and gets a hash of both.
    """
    cidr = of_cidr(key.cidr)
    name = f"{key.host}-{cidr}"
    if len(name) <= _LONGEST:
        return name
    import hashlib

    digest = hashlib.sha256(f"{key.host}+{cidr}".encode()).hexdigest()[:_HASHED]
    return f"{key.host[: _LONGEST - len(cidr) - _HASHED - 2]}-{cidr}-{digest}"


def labels(key: AffinityKey) -> dict[str, str]:
    """Return the labels by which affinities are listed, in the order of their names."""
    version = "6" if ":" in key.cidr else "4"
    return {AFFINITY_TYPE: key.kind, HOSTNAME_HASH: hostname_hash(key.host), IP_VERSION: version}


def hostname_hash(host: str) -> str:
    """Return a host's name as the value of a label, which may be shorter than the name is."""
    import base64
    import hashlib

    return base64.b32encode(hashlib.sha3_256(host.encode()).digest()).decode().rstrip("=")
