"""The fake's public addresses: out of prefixes with tags, when a machine is written (spec cilium §1.6)."""

from __future__ import annotations

from typing import Any

from tests.fakes.azure_compute import Compute


class PublicIps:
    """Stands before the machines' hook, and gives what a written model asks for; a full prefix fails the operation."""

    def __init__(self, compute: Compute) -> None:
        self.arm, self._machines = compute.arm, compute
        self._network = f"{compute.group}/providers/Microsoft.Network"
        self.given: dict[str, str] = {}
        """By address: who has it."""
        for part in ("/virtualmachines/", "/publicipaddresses/"):
            self.arm.hooks.pop(part, None)
        self.arm.hooks = {"/publicipaddresses/": self, "/virtualmachines/": self, **self.arm.hooks}

    def prefix(self, name: str, network: str, length: int, shown: int | None = None, **tags: str) -> str:
        """A prefix of 2^(32 − length) addresses; `shown` says how many it claims to have given."""
        rows = [{"id": f"{name}/{each}"} for each in range(shown or 0)]
        properties = {"prefixLength": length, "ipPrefix": f"{network}/{length}", "publicIPAddresses": rows}
        return self.arm.put(f"{self._network}/publicIPPrefixes/{name}", properties, tags=tags, location="westeurope")

    def check(self, path: str, body: dict[str, Any]) -> None:
        """See `Hook.check`."""
        if self._of_machine(path):
            self._machines.check(path, body)
            for _, configuration in _public(path, body):
                prefix = configuration["publicIPAddressConfiguration"]["properties"]["publicIPPrefix"]["id"]
                if self._free(prefix) is None and not self._has(path):
                    self.arm.fail_next = ("PublicIpPrefixOutOfIpAddressesForVMScaleSet", f"{prefix} is full.")

    def begun(self, path: str, body: dict[str, Any]) -> None:
        """See `Hook.begun`."""
        if self._of_machine(path):
            self._machines.begun(path, body)

    def ended(self, path: str, body: dict[str, Any], *, well: bool) -> None:
        """See `Hook.ended`."""
        if self._of_machine(path):
            self._machines.ended(path, body, well=well)
            for where, configuration in _public(path, body) if well else ():
                prefix = configuration["publicIPAddressConfiguration"]["properties"]["publicIPPrefix"]["id"]
                self._give(f"{where}/publicIPAddresses/managed", prefix, path)
        elif well:
            found = self.arm.raw(path)["properties"]
            found["ipAddress"] = self._take(found["publicIPPrefix"]["id"], path)

    def _of_machine(self, path: str) -> bool:
        return "/publicipaddresses/" not in path.lower()

    def _has(self, path: str) -> bool:
        return path.lower() in self.given.values()

    def _give(self, resource: str, prefix: str, path: str) -> None:
        if not self._has(path):
            self.arm.put(resource, {"ipAddress": self._take(prefix, path)})

    def _take(self, prefix: str, path: str) -> str:
        address = self._free(prefix)
        assert address is not None
        self.given[address] = path.lower()
        return address

    def _free(self, prefix: str) -> str | None:
        found = self.arm.raw(prefix)["properties"]
        head, _, last = found["ipPrefix"].partition("/")[0].rpartition(".")
        every = [f"{head}.{int(last) + each}" for each in range(2 ** (32 - found["prefixLength"]))]
        return next((each for each in every if each not in self.given), None)


def _public(path: str, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The configurations of a machine's model that ask for a public address, and what they are called."""
    profile = body["properties"]["networkProfileConfiguration"]
    return [
        (f"{path}/networkInterfaces/{nic['name']}/ipConfigurations/{each['name']}", each["properties"])
        for nic in profile["networkInterfaceConfigurations"]
        for each in nic["properties"]["ipConfigurations"]
        if "publicIPAddressConfiguration" in each["properties"]
    ]
