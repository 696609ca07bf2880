"""A node's static public address, out of a public IP prefix with the tags that the node names (spec cilium §1.6)."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from unipam.dialects.cilium.machine import body_of, is_of_scale_set, primary_interface
from unipam.dialects.cilium.nics import SUCCEEDED
from unipam.model.errors import Missing

MANAGED = "cilium-managed-public-ip"
"""What Cilium calls the configuration, and we the address of a machine that stands alone."""
EXHAUSTED = "publicipprefixoutofipaddressesforvmscaleset"
"""The code, in small letters, of a prefix that was full when the machine was written (43598)."""


class PublicPrefix(NamedTuple):
    """A public IP prefix, and how many addresses are left in it."""

    id: str
    location: str
    tags: Mapping[str, str]
    ready: bool
    left: int


def prefixes_of(documents: Iterable[Mapping[str, Any]]) -> list[PublicPrefix]:
    """Return the public IP prefixes of IPv4."""
    found = []
    for each in documents:
        properties = each.get("properties") or {}
        size = 2 ** (32 - int(properties.get("prefixLength") or 32))
        if properties.get("publicIPAddressVersion", "IPv4") == "IPv4":
            left = size - len(properties.get("publicIPAddresses") or ())
            ready = str(properties.get("provisioningState", "")).lower() == SUCCEEDED
            found.append(
                PublicPrefix(str(each["id"]), str(each.get("location", "")), each.get("tags") or {}, ready, left)
            )
    return found


def choose(
    prefixes: Iterable[PublicPrefix], tags: Mapping[str, str], full: Collection[str] = ()
) -> PublicPrefix | None:
    """Return the first by its id that has all tags and room; not one of those that have turned out to be `full`."""
    for each in sorted(prefixes, key=lambda each: each.id):
        if each.ready and each.left > 0 and each.id not in full and tags.items() <= each.tags.items():
            return each
    return None


def assigned(document: Mapping[str, Any]) -> str:
    """Return the prefix, or the address's resource, that a model's primary configuration names; empty for none.

    Raises Missing for a model without interface.
    """
    properties = _primary(document)["properties"]
    of_set = properties.get("publicIPAddressConfiguration") or {}
    found = (of_set.get("properties") or {}).get("publicIPPrefix") or properties.get("publicIPAddress") or {}
    return str(found.get("id") or of_set.get("name") or "")


def is_managed(document: Mapping[str, Any]) -> bool:
    """Return whether what the primary configuration names was given by Cilium or us. Raises Missing."""
    properties = _primary(document)["properties"]
    of_set, alone = properties.get("publicIPAddressConfiguration") or {}, properties.get("publicIPAddress") or {}
    return of_set.get("name") == MANAGED or str(alone.get("id") or "").endswith(f"-{MANAGED}")


def primary_of(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of a model's primary interface and of its primary configuration. Raises Missing."""
    return str(_interface(document).get("name", "")), str(_primary(document).get("name", ""))


def with_public(document: Mapping[str, Any], named: str) -> dict[str, Any]:
    """Return the body that gives the primary configuration an address: `named` is a prefix, or the address's resource.

    Raises Missing.
    """
    made = copy.deepcopy(dict(document))
    properties = _primary(made)["properties"]
    if is_of_scale_set(str(document["id"])):
        inner = {"publicIPPrefix": {"id": named}, "publicIPAddressVersion": "IPv4"}
        properties["publicIPAddressConfiguration"] = {"name": MANAGED, "properties": inner}
    else:
        properties["publicIPAddress"] = {"id": named}
    return body_of(made)


def _interface(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "ipConfigurations" in (document.get("properties") or {}):
        return document
    return primary_interface(document)


def _primary(document: Mapping[str, Any]) -> dict[str, Any]:
    every = (_interface(document).get("properties") or {}).get("ipConfigurations") or ()
    found = sorted(every, key=lambda each: not (each.get("properties") or {}).get("primary"))
    if not found:
        raise Missing(f"{document.get('id', '')} has no configuration of an address")
    return found[0]  # type: ignore[no-any-return]
