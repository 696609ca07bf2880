"""Custom resource definitions with the names, the required fields and the types of Calico's (spec calico-ipam §4.3).

Only as much of a schema as decides what a server keeps, refuses and prunes of IPAM's resources. Where somebody brought
the real ones, `UNIPAM_CALICO_CRDS` names their directory, and those are taken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

BROUGHT = os.environ.get("UNIPAM_CALICO_CRDS", "")

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
LONG: Schema = {"type": "integer", "format": "int64"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def several(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def by_name(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def struct(required: str, **fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, **({"required": required.split()} if required else {})}


_ATTRIBUTE = struct("", handle_id=TEXT, secondary=by_name(TEXT), alternateOwnerAttrs=by_name(TEXT), releasedAt=TIME)
_BLOCK = struct(
    "allocations attributes cidr strictAffinity unallocated",
    cidr=TEXT, affinity=TEXT, affinityClaimTime=TIME, allocations=several({**WHOLE, "nullable": True}),
    unallocated=several(WHOLE), attributes=several(_ATTRIBUTE), sequenceNumber={**LONG, "default": 0},
    sequenceNumberForAllocation=by_name(LONG), deleted=FLAG, strictAffinity=FLAG,
)  # fmt: skip
_HANDLE = struct("block handleID", handleID=TEXT, block=by_name(WHOLE), deleted=FLAG)
_CONFIG = struct(
    "autoAllocateBlocks strictAffinity",
    strictAffinity=FLAG, autoAllocateBlocks=FLAG, maxBlocksPerHost={**WHOLE, "minimum": 0},
    kubeVirtVMAddressPersistence=TEXT, ipCooldownSeconds={**WHOLE, "minimum": 0, "maximum": 1200},
)  # fmt: skip


def _affinity(native: bool) -> Schema:
    deleted = FLAG if native else TEXT
    required = "cidr node state" if native else "cidr deleted node state"
    return struct(required, cidr=TEXT, deleted=deleted, node=TEXT, state=TEXT, type=TEXT)


def definitions(group_version: str) -> list[dict[str, Any]]:
    """The definitions of one of the two groups in which a cluster may keep Calico's resources."""
    native = group_version == "projectcalico.org/v3"
    config = ("ipamconfigurations", "IPAMConfiguration") if native else ("ipamconfigs", "IPAMConfig")
    kinds: list[tuple[str, str, Schema]] = [
        ("ipamblocks", "IPAMBlock", _BLOCK),
        ("blockaffinities", "BlockAffinity", _affinity(native)),
        ("ipamhandles", "IPAMHandle", _HANDLE),
        (*config, _CONFIG),
        ("ippools", "IPPool", ANY),
        ("ipreservations", "IPReservation", ANY),
        ("clusterinformations", "ClusterInformation", ANY),
        ("kubecontrollersconfigurations", "KubeControllersConfiguration", ANY),
        ("felixconfigurations", "FelixConfiguration", ANY),
        ("tiers", "Tier", ANY),
    ]
    group, version = group_version.split("/")
    return [_definition(group, version, plural, kind, spec) for plural, kind, spec in kinds]


def _definition(group: str, version: str, plural: str, kind: str, spec: Schema) -> dict[str, Any]:
    if BROUGHT:
        return dict(yaml.safe_load((Path(BROUGHT) / f"{group}_{plural}.yaml").read_text()))
    schema = {"openAPIV3Schema": struct("", spec=spec, status=ANY)}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }
