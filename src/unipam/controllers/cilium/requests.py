"""What Azure was asked and how long that took, by the names of Cilium's operator (spec cilium §1.10)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from prometheus_client.core import Metric

from unipam.clients.azure.write.dispatcher import Heard
from unipam.clients.azure.write.jobs import Ask
from unipam.controllers.cilium.durations import Durations

_TOOK = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
)  # fmt: skip
_WAITED = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_INSTANCE = "virtualmachinescalesets/virtualmachines"
_OPERATIONS = {
    ("GET", "virtualmachinescalesets", False): "VirtualMachineScaleSets.List",
    ("GET", "virtualmachinescalesets/networkinterfaces", False):
        "Interfaces.ListVirtualMachineScaleSetNetworkInterfaces",
    ("GET", f"{_INSTANCE}/networkinterfaces", False): "Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces",
    ("GET", _INSTANCE, True): "VirtualMachineScaleSetVMs.Get",
    ("PUT", _INSTANCE, True): "VirtualMachineScaleSetVMs.Update",
    ("GET", "networkinterfaces", False): "Interfaces.List",
    ("GET", "networkinterfaces", True): "Interfaces.Get",
    ("PUT", "networkinterfaces", True): "Interfaces.CreateOrUpdate",
    ("GET", "virtualnetworks/subnets", True): "Subnets.Get",
    ("GET", "publicipprefixes", False): "PublicIPPrefixes.List",
    ("GET", "publicipaddresses", True): "PublicIPAddresses.Get",
    ("PUT", "publicipaddresses", True): "PublicIPAddresses.CreateOrUpdate",
    ("GET", f"{_INSTANCE}/networkinterfaces/ipconfigurations/publicipaddresses", False):
        "PublicIPAddresses.ListVirtualMachineScaleSetVMPublicIPAddresses",
}  # fmt: skip
"""By method, types of the path, and whether it ends with a name."""


def operation_of(ask: Ask) -> str:
    """Return what Cilium's operator calls a request; empty for one that it has not, as a look at an operation."""
    types = ask.path.lower().partition("/providers/")[2].rstrip("/").split("/")[1:]
    return _OPERATIONS.get((ask.method, "/".join(types[::2]), len(types) % 2 == 0), "")


class Requests:
    """Counts since the start. May be told of requests in one thread and asked in another."""

    def __init__(self) -> None:
        name = "cilium_operator_azure_api"
        self._lock = threading.Lock()
        self._took = Durations(f"{name}_duration_seconds", "Requests to Azure.", ("operation", "response_code"), _TOOK)
        self._waited = Durations(
            f"{name}_rate_limit_duration_seconds", "How long requests waited for the budget.", ("operation",), _WAITED
        )

    def note(self, heard: Heard) -> None:
        """Count a request that was answered."""
        operation = operation_of(heard.ask)
        if not operation:
            return
        with self._lock:
            self._took.took(heard.took, operation, "OK" if heard.well else "Failed")
            if heard.waited:
                self._waited.took(heard.waited, operation)

    def metrics(self) -> Iterator[Metric]:
        """Yield both."""
        with self._lock:
            families = [self._took.family(), self._waited.family()]
        yield from families
