"""What `unipam cluster` reads of Azure: the interfaces of a resource group, and a route table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from unipam.clients.azure.arm import Arm
    from unipam.dialects.cilium.nics import Nic
    from unipam.dialects.kubenet.looking import Seen


class Azure(NamedTuple):
    """Interfaces as Azure gives them, and the route table; None where it was not asked for them."""

    interfaces: list[dict[str, Any]] | None = None
    table: Seen | None = None

    def by_machine(self) -> dict[str, list[Nic]] | None:
        """Return the interfaces by the machines that have them; None where Azure was not asked for them."""
        from unipam.dialects.cilium.nics import nics_of

        if self.interfaces is None:
            return None
        found: dict[str, list[Nic]] = {}
        for nic in nics_of(self.interfaces):
            found.setdefault(nic.instance, []).append(nic)
        return found


def read(group: str, table: str) -> Azure:
    """Read what is named. Raises SourceFailed, BadConfig."""
    if not group and not table:
        return Azure()
    from unipam.clients.azure import credentials
    from unipam.clients.azure.arm import Arm
    from unipam.clients.azure.settings import from_environment

    settings = from_environment(os.environ)
    arm = Arm(settings, credentials.own(settings))
    try:
        return Azure(_interfaces(arm, group) if group else None, _table(arm, table) if table else None)
    finally:
        arm.close()


def _interfaces(arm: Arm, group: str) -> list[dict[str, Any]]:
    from unipam.dialects.cilium.machine import COMPUTE, NETWORK, lists_interfaces

    found = arm.every(f"{group}/providers/Microsoft.Network/networkInterfaces", NETWORK, list[dict[str, Any]])
    sets = f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets"
    for each in filter(lists_interfaces, arm.every(sets, COMPUTE, list[dict[str, Any]])):
        found += _of_scale_set(arm, str(each["id"]))
    return found


def _of_scale_set(arm: Arm, scale_set: str) -> list[dict[str, Any]]:
    """Return the interfaces of a scale set's machines; one that has just lost its last machine has no list of them."""
    from unipam.dialects.cilium.machine import SCALE_SET_NICS
    from unipam.model.errors import SourceFailed

    try:
        return arm.every(f"{scale_set}/networkInterfaces", SCALE_SET_NICS, list[dict[str, Any]])
    except SourceFailed as error:
        if error.facts.get("status") == 404:
            return []
        raise


def _table(arm: Arm, table: str) -> Seen:
    from unipam.clients.azure.write.route_tables import VERSION, Table
    from unipam.dialects.kubenet.looking import Seen

    found = Table(arm.request("GET", table, VERSION).read(dict[str, Any]))
    return Seen(table, found.routes, found.subnets)
