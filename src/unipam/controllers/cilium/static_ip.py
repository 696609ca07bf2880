"""What is asked of Azure to give a machine a static public address. Asked again, it finds what was done already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from unipam.clients.azure.write.jobs import WRITTEN, Ask, Job
from unipam.clients.azure.write.lists import every
from unipam.clients.azure.write.operations import patiently, until_ended
from unipam.clients.azure.write.verdicts import judge
from unipam.controllers.cilium.jobs import Document, Model, model_of
from unipam.dialects.cilium.machine import NETWORK, SCALE_SET_NICS, Machine, is_of_scale_set
from unipam.dialects.cilium.public_ip import (
    EXHAUSTED,
    MANAGED,
    PublicPrefix,
    assigned,
    choose,
    is_managed,
    prefixes_of,
    primary_of,
    with_public,
)
from unipam.model.errors import Missing, SourceFailed


class Assigned(NamedTuple):
    """The address that a machine has, and the machine's model as it was written."""

    address: str
    model: Model


def assign(machine: Machine, group: str, tags: Mapping[str, str]) -> Job[Assigned]:
    """Give a machine's primary interface an address of a prefix with these tags. Raises SourceFailed."""
    try:
        model = model_of((yield Ask(path=machine.path, version=machine.version)))
        named = assigned(model.document)
        address = (yield from _address(machine, model.document)) if named else ""
        failed = str(model.document["properties"].get("provisioningState", "")).lower() == "failed"
        if not named or (failed and not address and is_managed(model.document)):  # the prefix was full, it may be
            model = yield from _given(machine, group, tags, model, {named})
            address = yield from _address(machine, model.document)
        if address:
            return Assigned(address, model)
        raise SourceFailed(f"{machine.path} has a public address that Azure does not tell yet", source="azure")
    except Missing as error:
        raise SourceFailed(error.message, source="azure", code="InterfaceMissing") from error


def _given(machine: Machine, group: str, tags: Mapping[str, str], model: Model, full: set[str]) -> Job[Model]:
    """Write the model with one prefix after the other, until one has an address; not with those that are `full`."""
    prefixes = prefixes_of((yield from every(f"{group}/providers/Microsoft.Network/publicIPPrefixes", NETWORK)))
    while prefix := choose(prefixes, tags, full):
        named = prefix.id if is_of_scale_set(machine.path) else (yield from _resource(machine, group, prefix))
        body = with_public(model.document, named)
        try:
            begun = yield from patiently(Ask("PUT", machine.path, machine.version, body, model.etag, WRITTEN))
            yield from until_ended(begun, Ask(path=machine.path, version=machine.version))
        except SourceFailed as error:
            if judge(error).code.lower() != EXHAUSTED:
                raise
            full.add(prefix.id)
            model = model_of((yield Ask(path=machine.path, version=machine.version)))
        else:
            return model_of(begun)
    wanted = ", ".join(f"{tag}={value}" for tag, value in sorted(tags.items()))
    text = f"no public IP prefix of {group} with the tags {wanted} has an address left"
    raise SourceFailed(text, source="azure", code="NoPublicIPPrefix")


def _resource(machine: Machine, group: str, prefix: PublicPrefix) -> Job[str]:
    """Make the address of a machine that stands alone; return its id."""
    path = f"{group}/providers/Microsoft.Network/publicIPAddresses/{machine.nic}-{MANAGED}"
    properties = {"publicIPAllocationMethod": "Static", "publicIPPrefix": {"id": prefix.id}}
    body = {"location": prefix.location, "sku": {"name": "Standard"}, "properties": properties}
    begun = yield from patiently(Ask("PUT", path, NETWORK, body, expect=WRITTEN))
    yield from until_ended(begun, Ask(path=path, version=NETWORK))
    return path


def _address(machine: Machine, document: Document) -> Job[str]:
    """Read the address that a written machine has; empty where Azure tells of none."""
    nic, configuration = primary_of(document)
    try:
        if is_of_scale_set(machine.path):
            path = f"{machine.path}/networkInterfaces/{nic}/ipConfigurations/{configuration}/publicIPAddresses"
            rows = yield from every(path, SCALE_SET_NICS)
        else:
            ask = Ask(path=assigned(document), version=NETWORK, follows=True)
            rows = [(yield ask).read(dict[str, Any])]
    except SourceFailed as error:
        if error.facts.get("status") != 404:
            raise
        return ""
    return max((str((each.get("properties") or {}).get("ipAddress") or "") for each in rows), default="")
