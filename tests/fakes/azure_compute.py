"""The fake's machines: whoever writes a model gets addresses of the subnet, when the operation has ended; or blocks of
sixteen, at interfaces that stand alone: a scale set's model has no field for these, and passes over what is said.

A subnet has no more than it has; others may fill it. What a write adds is `Updating` at the interface, and what
it removes comes back to the subnet a while later. Refusals: those of spec cilium §0 and §1.6.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Collection, Iterator
from typing import Any

from tests.fakes.azure_arm import Resources
from tests.fakes.azure_http import Refused

from unipam.addr.prefix import format_address, parse_address, parse_prefix

GROUP = "/subscriptions/s/resourceGroups/MC_g"
MOST, BLOCK = 256, 16
DISKS = [{"lun": 0}]
"""What somebody else may attach to a machine."""


class Compute:
    """Machines in `arm`: scale sets' ones, and those that stand alone."""

    def __init__(
        self,
        arm: Resources,
        cidr: str = "10.240.0.0/16",
        group: str = GROUP,
        *,
        subnet: str = "nodes",
        serves: Collection[str] = ("/virtualmachines/", "/networkinterfaces/"),
    ) -> None:
        """Have a subnet for those machines whose paths have one of these parts."""
        self.arm, self.group = arm, group
        self.subnet = f"{group}/providers/Microsoft.Network/virtualNetworks/vnet/subnets/{subnet}"
        arm.stale = True  # nobody asks Resource Graph here, and it costs
        for part in serves:
            arm.hooks[part] = self
        self.prefix = parse_prefix(cidr)
        self.holders: dict[str, str] = {}
        """By address: the configuration that has it, or has had it until a while ago, or `others`."""
        self.cursor = self.prefix.first + 4
        self.half = False
        """Whether half of what a write wanted is done when it ends badly; else nothing of it."""
        self.writing: set[str] = set()
        """Machines that somebody else writes."""
        self.history: list[tuple[str, str, str]] = []
        """Every address that was given or taken: verb, address, configuration."""
        arm.put(self.subnet, {"addressPrefix": cidr})
        arm.shows[self.subnet.lower()] = self._subnet

    def scale_set(self, name: str, machines: int) -> list[str]:
        """A scale set; the ids of its machines, in lower case as agents write them."""
        scale_set = f"{self.group}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"
        self.arm.put(scale_set, {}, sku={"name": "D4", "capacity": machines})
        return [self.machine(scale_set, index) for index in range(machines)]

    def machine(self, scale_set: str, index: int) -> str:
        """One more machine of a scale set."""
        machine = f"{scale_set}/virtualMachines/{index}"
        configuration = {"name": "ipconfig1", "properties": self._wanted(primary=True)}
        nic = {"name": "aks-nic", "properties": {"primary": True, "ipConfigurations": [configuration]}}
        storage = {"imageReference": {"id": "/subscriptions/other/galleries/g"}, "dataDisks": []}
        profile = {"networkInterfaceConfigurations": [nic]}
        self.arm.put(
            machine,
            {"networkProfileConfiguration": profile, "storageProfile": storage, "instanceView": {"statuses": []}},
            location="westeurope",
        )
        self._interface(f"{machine}/networkInterfaces/aks-nic", machine, configuration)
        return machine.lower()

    def alone(self, name: str) -> str:
        """A machine of no scale set."""
        machine = f"{self.group}/providers/Microsoft.Compute/virtualMachines/{name}"
        nic = f"{self.group}/providers/Microsoft.Network/networkInterfaces/{name}-nic"
        self._interface(nic, machine, {"name": "ipconfig1", "properties": self._wanted(primary=True)})
        return machine.lower()

    def gone(self, machine: str) -> None:
        """A machine is deleted, and its interfaces with it."""
        for nic in self._nics(machine):
            for each in nic["properties"]["ipConfigurations"]:
                self._take(nic["id"], each)
            self.arm.drop(nic["id"])
        self.arm.drop(machine)

    @property
    def room(self) -> int:
        """How many addresses of the subnet nobody has."""
        return self._size - len(self.holders)

    def give(self, machine: str, name: str) -> str:
        """Somebody else has given a machine's interface one more address, which is returned."""
        before = self.addresses(machine)
        self._give(str(self._nics(machine)[0]["id"]), name, "Succeeded")
        (ip,) = self.addresses(machine) - before
        return ip

    def attach_disk(self, machine: str) -> None:
        """Somebody else has written a machine's model."""
        found = copy.deepcopy(self.arm.raw(machine))
        found["properties"]["storageProfile"]["dataDisks"] = DISKS
        self.arm.remember(machine.lower())
        self.arm.put(found["id"], found["properties"], location="westeurope")

    @contextlib.contextmanager
    def written_by_another(self, machine: str) -> Iterator[None]:
        """Somebody else writes a machine's interfaces, and takes his time; nobody else may meanwhile."""
        self.write_begins(machine)
        yield
        self.write_ends(machine)

    def write_begins(self, machine: str) -> None:
        """Somebody else's write of a machine's interfaces begins."""
        self._state(machine, "Updating")
        self.writing.add(machine.lower())

    def write_ends(self, machine: str) -> None:
        """It has ended, and changed nothing."""
        self.writing.discard(machine.lower())
        self._state(machine, "Succeeded")

    def is_written(self, machine: str) -> bool:
        """Whether an interface of a machine is being written, by whomever."""
        return any(each["properties"]["provisioningState"] == "Updating" for each in self._nics(machine))

    def failed(self, machine: str, model: str) -> None:
        """Somebody else's write of a machine's interfaces has failed; its model has this state."""
        self._state(machine, "Failed")
        self.arm.raw(machine)["properties"]["provisioningState"] = model

    def _state(self, machine: str, state: str) -> None:
        for nic in self._nics(machine):
            nic["properties"]["provisioningState"] = state
            for each in nic["properties"]["ipConfigurations"]:
                each["properties"]["provisioningState"] = state

    def disks(self, machine: str) -> list[dict[str, int]]:
        """The disks in a machine's model."""
        return list(self.arm.raw(machine)["properties"]["storageProfile"]["dataDisks"])

    def scatter(self) -> None:
        """Others take one address of each range of sixteen: no block can be had, and single addresses can."""
        first = self.prefix.first
        for start in range(first - first % BLOCK, self.prefix.last + 1, BLOCK):
            self.holders.setdefault(format_address(start + 8), "others")

    def fill(self, left: int) -> None:
        """Others take all addresses of the subnet but these."""
        for ip in list(self._free())[left:]:
            self.holders[ip] = "others"

    def addresses(self, machine: str) -> set[str]:
        """The secondary addresses that a machine has, ready for use; those that somebody else writes stay its own."""
        ready = {"Succeeded", "Updating"} if machine.lower() in self.writing else {"Succeeded"}
        return {
            ip
            for nic in self._nics(machine)
            for each in nic["properties"]["ipConfigurations"]
            if not each["properties"]["primary"] and each["properties"]["provisioningState"] in ready
            for ip in addresses_of(each)
        }

    def interfaces(self, machine: str) -> list[str]:
        """The ids of a machine's interfaces, in lower case."""
        return [str(each["id"]).lower() for each in self._nics(machine)]

    def configurations(self, machine: str) -> int:
        """How many secondary configurations a machine has."""
        every = [each for nic in self._nics(machine) for each in nic["properties"]["ipConfigurations"]]
        return sum(1 for each in every if not each["properties"]["primary"])

    def check(self, path: str, body: dict[str, Any]) -> None:
        """Look at what is to be stored. Raises Refused."""
        if any(path.lower() in {each, *self.interfaces(each)} for each in self.writing):
            raise Refused(409, "AnotherOperationInProgress", "Another operation on this resource is in progress.")
        for nic, wanted in _models(path, body):
            names = [each["name"] for each in wanted]
            subnets = {each["properties"]["subnet"]["id"].lower() for each in wanted}
            if len(set(names)) != len(names) or len(names) > MOST or not names:
                raise Refused(400, "InvalidParameter", f"{nic} has {len(names)} configurations.")
            if len(subnets) > 1:
                code = "VMScaleSetIpConfigurationsOnSameNicCannotUseDifferentSubnets"
                raise Refused(400, code, f"{nic} names {sorted(subnets)}.")
            has = self._has(nic)
            new = [each for each in wanted if each["name"] not in has]
            blocks = sum(1 for each in new if _is_block(path, each))
            if len(new) + blocks * (BLOCK - 1) > self.room or (blocks and blocks > len(self._free_blocks())):
                raise Refused(400, "SubnetIsFull", f"Subnet nodes with address prefix {self.prefix} is full.")
        if "imageReference" in body.get("properties", {}).get("storageProfile", {}):
            text = "The client has permission to perform the write, but not 'galleries/read' at the linked scope."
            raise Refused(403, "LinkedAuthorizationFailed", text)

    def begun(self, path: str, body: dict[str, Any]) -> None:
        """A model was accepted: addresses are found for what is new, which is not ready yet."""
        for nic, wanted in _models(path, body):
            self.arm.remember(nic.lower())
            has = self._has(nic)
            properties = self.arm.raw(nic)["properties"]
            properties["provisioningState"] = "Updating"
            public = {each["name"]: each["properties"].get("publicIPAddress") for each in wanted}
            for each in properties["ipConfigurations"]:
                if public.get(each["name"]):
                    each["properties"]["publicIPAddress"] = public[each["name"]]
            for each in wanted:
                if each["name"] not in has:
                    self._give(nic, each["name"], "Updating", block=_is_block(path, each))

    def ended(self, path: str, body: dict[str, Any], *, well: bool) -> None:
        """The operation has ended: what is new is ready, and what is not wanted is gone; or nothing came of it."""
        for nic, wanted in _models(path, body):
            self.arm.remember(nic.lower())
            names = {each["name"] for each in wanted}
            kept = []
            for index, each in enumerate(self.arm.raw(nic)["properties"]["ipConfigurations"]):
                state = each["properties"]["provisioningState"]
                done = well or (self.half and index % 2)
                if (done and each["name"] not in names) or (not done and state == "Updating"):
                    self._take(nic, each)
                else:
                    each["properties"]["provisioningState"] = "Succeeded"
                    kept.append(each)
            self.arm.raw(nic)["properties"] |= {"ipConfigurations": kept, "provisioningState": "Succeeded"}

    def _interface(self, nic: str, machine: str, configuration: dict[str, Any]) -> None:
        properties = {"virtualMachine": {"id": machine}, "macAddress": "00-22-48-00-00-01", "primary": True}
        self.arm.put(nic, {**properties, "ipConfigurations": []})
        self._give(nic, configuration["name"], "Succeeded", primary=True)

    def _give(self, nic: str, name: str, state: str, *, primary: bool = False, block: bool = False) -> None:
        ip = self._free_blocks()[0] if block else next(self._free())
        self.cursor = parse_address(ip.partition("/")[0]) + 1
        properties = {**self._wanted(primary=primary), "privateIPAddress": ip, "provisioningState": state}
        if block:
            properties["privateIPAddressPrefixLength"] = 28
        for each in addresses_of({"properties": properties}):
            self.holders[each] = f"{nic}/{name}".lower()
            self.history.append(("give", each, self.holders[each]))
        self.arm.raw(nic)["properties"]["ipConfigurations"].append({"name": name, "properties": properties})

    def _take(self, nic: str, configuration: dict[str, Any]) -> None:
        for ip in addresses_of(configuration):
            self.history.append(("take", ip, self.holders.pop(ip)))

    def _free(self) -> Iterator[str]:
        """Addresses that nobody has, from where the last one was found, so that one is not given again at once."""
        first, start = self.prefix.first + 4, self.cursor
        for offset in range(self._size):
            ip = format_address(first + (start - first + offset) % self._size)
            if ip not in self.holders:
                yield ip

    def _free_blocks(self) -> list[str]:
        first = self.prefix.first
        starts = range(first - first % BLOCK + BLOCK, self.prefix.last - BLOCK, BLOCK)
        return [
            f"{format_address(start)}/28"
            for start in starts
            if not any(format_address(each) in self.holders for each in range(start, start + BLOCK))
        ]

    @property
    def _size(self) -> int:
        return self.prefix.size - 5

    def _has(self, nic: str) -> list[str]:
        return [each["name"] for each in self.arm.raw(nic)["properties"]["ipConfigurations"]]

    def _nics(self, machine: str) -> list[dict[str, Any]]:
        return [
            each
            for key, each in self.arm.everything().items()
            if "/networkinterfaces/" in key
            and (each["properties"].get("virtualMachine") or {}).get("id", "").lower() == machine.lower()
        ]

    def _wanted(self, *, primary: bool) -> dict[str, Any]:
        return {"primary": primary, "privateIPAddressVersion": "IPv4", "subnet": {"id": self.subnet}}

    def _subnet(self, found: dict[str, Any]) -> dict[str, Any]:
        made = copy.copy(found)
        made["properties"] = {
            **found["properties"],
            "ipConfigurations": [{"id": each} for each in self.holders.values()],
        }
        return made


def _is_block(path: str, configuration: dict[str, Any]) -> bool:
    alone = "/virtualmachines/" not in path.lower()
    return alone and configuration["properties"].get("privateIPAddressPrefixLength") == 28


def addresses_of(configuration: dict[str, Any]) -> list[str]:
    """The address of a configuration, or the sixteen of its block."""
    ip, _, length = configuration["properties"]["privateIPAddress"].partition("/")
    return [format_address(parse_address(ip) + each) for each in range(BLOCK if length else 1)]


def _models(path: str, body: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The interfaces that a body describes, and their configurations."""
    if "/networkinterfaces/" in path.lower():
        yield path, body["properties"]["ipConfigurations"]
        return
    for each in body["properties"]["networkProfileConfiguration"]["networkInterfaceConfigurations"]:
        yield f"{path}/networkInterfaces/{each['name']}", each["properties"]["ipConfigurations"]
