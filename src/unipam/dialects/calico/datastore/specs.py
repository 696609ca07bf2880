"""The documents of IPAM as custom resources have them in their `spec`, and back (spec calico-ipam §4.3, §4.4).

Fields that are not named here are the same in both.
"""

from __future__ import annotations

from unipam.addr.prefix import parse_interface
from unipam.dialects.calico.datastore.api import Document
from unipam.dialects.calico.datastore.keys import HOST, AffinityKey, BlockKey, ConfigKey, HandleKey

IpamKey = BlockKey | AffinityKey | HandleKey | ConfigKey

_BLOCK_FIELDS = {"affinity_claim_time": "affinityClaimTime"}
_CONFIG_FIELDS = {"strict_affinity": "strictAffinity", "auto_allocate_blocks": "autoAllocateBlocks"}


def write(key: IpamKey, document: Document, *, native: bool) -> Document:
    """Return the spec of a document; `native`: of a resource of projectcalico.org/v3."""
    match key:
        case BlockKey():
            return _block_spec(document)
        case AffinityKey(host, cidr, kind):
            deleted = bool(document.get("deleted", False))
            spec = {"state": "", "node": host, "type": kind, "cidr": cidr, **document}
            return {**spec, "deleted": deleted if native else str(deleted).lower()}
        case HandleKey(identity):
            return {"handleID": identity, **document}
        case ConfigKey():
            spec = {_CONFIG_FIELDS.get(name, name): value for name, value in document.items()}
            return {"strictAffinity": False, "autoAllocateBlocks": False, **spec}


def read(kind: type[IpamKey], spec: Document) -> tuple[IpamKey, Document]:
    """Return the key and the document of a spec.

    Raises ValueError, KeyError or TypeError when it says not what it must.
    """
    if kind is BlockKey:
        return BlockKey(_canonical(spec["cidr"])), _block(spec)
    if kind is AffinityKey:
        document = {name: value for name, value in spec.items() if name not in {"node", "type", "cidr"}}
        document["deleted"] = _flag(spec.get("deleted") or False)
        return AffinityKey(str(spec["node"]), _canonical(spec["cidr"]), spec.get("type") or HOST), document
    if kind is HandleKey:
        if not isinstance(spec["block"], dict):
            raise ValueError("its block is not an object")
        return HandleKey(str(spec["handleID"])), {name: value for name, value in spec.items() if name != "handleID"}
    back = {native: name for name, native in _CONFIG_FIELDS.items()}
    return ConfigKey(), {back.get(name, name): value for name, value in spec.items() if value not in (False, 0)}


def _block_spec(document: Document) -> Document:
    """Return the spec of a block.

    A block without an affinity has no such field. It must have strictAffinity, which nobody reads.
    """
    spec = {_BLOCK_FIELDS.get(name, name): value for name, value in document.items() if value is not None}
    return {"strictAffinity": False, **spec, "attributes": list(map(_present, spec["attributes"]))}


def _present(fields: Document) -> Document:
    """Return the fields that are not null."""
    return {name: value for name, value in fields.items() if value is not None} if None in fields.values() else fields


def _block(spec: Document) -> Document:
    back = {native: name for name, native in _BLOCK_FIELDS.items()}
    known = {back.get(name, name): value for name, value in spec.items() if name != "strictAffinity"}
    return {"cidr": spec["cidr"], "affinity": None, **known}


def _flag(value: object) -> bool:
    """Read a truth value, or a text that Go's strconv.ParseBool takes for one. Raises ValueError."""
    if isinstance(value, bool):
        return value
    if value in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    if value in {"0", "f", "F", "FALSE", "false", "False"}:
        return False
    raise ValueError(f"its deleted is {value!r}, which is neither true nor false")


def _canonical(cidr: object) -> str:
    """Return a CIDR without the bits behind its length. Raises ValueError when it is none."""
    return str(parse_interface(str(cidr))[1])
