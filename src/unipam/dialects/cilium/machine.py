"""What is written to Azure to give a machine addresses, or to take them (spec cilium §1.6, §9.2).

It is a read-modify-write of the whole model: a scale set's machine, or the interface of a machine that stands alone.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from unipam.model.errors import Missing

COMPUTE, NETWORK, SCALE_SET_NICS = "2024-11-01", "2024-05-01", "2018-10-01"
"""API versions; the interfaces of scale sets are served by an old one only."""
_READ_ONLY = ("instanceView", "provisioningState", "timeCreated")
_MARK = "Cilium-"
"""How the names of configurations begin that Cilium, or we, have added."""
_LENGTH, _BLOCK_LENGTH = "privateIPAddressPrefixLength", 28
_OF_SCALE_SET = "/virtualmachinescalesets/"


class Machine(NamedTuple):
    """Where a machine's addresses are written: `path`, in which API version, and the interface's name."""

    path: str
    version: str
    nic: str


def is_of_scale_set(instance: str) -> bool:
    """Return whether a machine belongs to a scale set of uniform machines."""
    return _OF_SCALE_SET in instance.lower()


def machine_of(nic_id: str) -> Machine:
    """Return where the addresses of an interface are written."""
    name = nic_id.rpartition("/")[2]
    if is_of_scale_set(nic_id):
        return Machine(nic_id[: nic_id.lower().rfind("/networkinterfaces/")], COMPUTE, name)
    return Machine(nic_id, NETWORK, name)


def scale_set_of(nic_id: str) -> str:
    """Return the id of the scale set that an interface belongs to; empty for one that stands alone."""
    at = nic_id.lower().find("/virtualmachines/")
    return nic_id[:at] if at >= 0 and is_of_scale_set(nic_id) else ""


def lists_interfaces(scale_set: Mapping[str, Any]) -> bool:
    """Return whether Azure lists the interfaces of a scale set's machines with it.

    It answers 404 for one without machines (24185), and for one of flexible machines, whose interfaces stand alone.
    """
    mode = str((scale_set.get("properties") or {}).get("orchestrationMode") or "")
    return mode.lower() != "flexible" and (scale_set.get("sku") or {}).get("capacity") != 0


def nic_of(document: Mapping[str, Any]) -> str:
    """Return the name of the first interface in a model: the primary one, where it says so. Raises Missing."""
    return str(primary_interface(document)["name"])


def primary_interface(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first interface in a model: the primary one, where it says so. Raises Missing."""
    profile = (document.get("properties") or {}).get("networkProfileConfiguration") or {}
    found: list[Mapping[str, Any]] = sorted(
        profile.get("networkInterfaceConfigurations") or (),
        key=lambda each: not (each.get("properties") or {}).get("primary"),
    )
    if not found:
        raise Missing(f"VM {document.get('id', '')} has no interface in its model")
    return found[0]


def names(count: int, taken: Collection[str], dice: Iterable[str]) -> list[str]:
    """Return so many new names of configurations, `Cilium-` and eight of [a-z0-9] that `dice` gives."""
    found: list[str] = []
    for each in dice:
        if len(found) == count:
            break
        name = _MARK + each
        if name not in taken and name not in found:
            found.append(name)
    return found


def configurations(document: Mapping[str, Any], nic: str) -> list[dict[str, Any]]:
    """Return the configurations of an interface in a model. Raises Missing when the model has no such interface."""
    properties = document.get("properties") or {}
    if "networkProfileConfiguration" not in properties and "ipConfigurations" in properties:
        return list(properties["ipConfigurations"])
    profile = properties.get("networkProfileConfiguration") or {}
    for each in profile.get("networkInterfaceConfigurations") or ():
        if str(each.get("name", "")).lower() == nic.lower():
            return list((each.get("properties") or {}).get("ipConfigurations") or ())
    raise Missing(f"interface {nic} does not exist in VM {document.get('id', '')}", interface=nic)


def is_block(configuration: Mapping[str, Any]) -> bool:
    """Return whether a configuration has a block of addresses, or is to have one."""
    properties = configuration.get("properties") or {}
    return properties.get(_LENGTH, 32) != 32 or "/" in str(properties.get("privateIPAddress") or "")


def with_more(document: Mapping[str, Any], nic: str, new: Iterable[str], blocks: Iterable[str] = ()) -> dict[str, Any]:
    """Return the body that adds configurations of these names, and of these with blocks, where the first one is.

    Raises Missing.
    """
    before = configurations(document, nic)
    first = before[0].get("properties") or {}
    properties: dict[str, Any] = {"privateIPAddressVersion": "IPv4", "subnet": {"id": first["subnet"]["id"]}}
    if first.get("applicationSecurityGroups"):
        properties["applicationSecurityGroups"] = first["applicationSecurityGroups"]
    if "networkProfileConfiguration" not in (document.get("properties") or {}):
        properties["privateIPAllocationMethod"] = "Dynamic"
    single = [{"name": each, "properties": dict(properties)} for each in new]
    manifold = [{"name": each, "properties": {**properties, _LENGTH: _BLOCK_LENGTH}} for each in blocks]
    return _body(document, nic, [*before, *single, *manifold])


def without(document: Mapping[str, Any], nic: str, gone: Collection[str]) -> dict[str, Any]:
    """Return the body that removes configurations of these names; the primary one stays. Raises Missing."""
    kept = [
        each
        for each in configurations(document, nic)
        if each.get("name") not in gone or (each.get("properties") or {}).get("primary")
    ]
    return _body(document, nic, kept)


def body_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole model, without what cannot be written.

    An image of a gallery that the identity may not read would have every write refused (19695): it is left out.
    """
    made = copy.deepcopy(dict(document))
    properties = made["properties"]
    for each in _READ_ONLY:
        properties.pop(each, None)
    properties.get("storageProfile", {}).pop("imageReference", None)
    return made


def _body(document: Mapping[str, Any], nic: str, wanted: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the whole model with these configurations."""
    made = body_of(document)
    properties = made["properties"]
    if "networkProfileConfiguration" not in properties:
        properties["ipConfigurations"] = wanted
        return made
    for each in properties["networkProfileConfiguration"]["networkInterfaceConfigurations"]:
        if str(each.get("name", "")).lower() == nic.lower():
            each["properties"]["ipConfigurations"] = wanted
    return made
