"""Requests to Azure by the names that Cilium's operator has for them, and its buckets (spec cilium §1.10, §9.2)."""

from __future__ import annotations

import pytest
from tests.controllers.cilium.simulation import Simulation

from unipam.clients.azure.write.dispatcher import Heard
from unipam.clients.azure.write.jobs import Ask
from unipam.controllers.cilium.requests import Requests, operation_of

GROUP = "/subscriptions/s/resourceGroups/MC_g/providers"
SCALE_SET = f"{GROUP}/Microsoft.Compute/virtualMachineScaleSets/np"
NIC = f"{GROUP}/Microsoft.Network/networkInterfaces/vm-nic"
API = "cilium_operator_azure_api"


@pytest.mark.parametrize(
    ("ask", "operation"),
    [
        (Ask(path=f"{GROUP}/Microsoft.Compute/virtualMachineScaleSets"), "VirtualMachineScaleSets.List"),
        (Ask(path=f"{SCALE_SET}/networkInterfaces"), "Interfaces.ListVirtualMachineScaleSetNetworkInterfaces"),
        (
            Ask(path=f"{SCALE_SET}/virtualMachines/0/networkInterfaces"),
            "Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces",
        ),
        (Ask(path=f"{SCALE_SET.lower()}/virtualmachines/0"), "VirtualMachineScaleSetVMs.Get"),
        (Ask("PUT", f"{SCALE_SET}/virtualMachines/0"), "VirtualMachineScaleSetVMs.Update"),
        (Ask(path=f"{GROUP}/Microsoft.Network/networkInterfaces"), "Interfaces.List"),
        (Ask(path=NIC), "Interfaces.Get"),
        (Ask("PUT", NIC), "Interfaces.CreateOrUpdate"),
        (Ask(path=f"{GROUP}/Microsoft.Network/virtualNetworks/v/subnets/nodes"), "Subnets.Get"),
        (Ask(path=f"{GROUP}/Microsoft.Network/publicIPPrefixes"), "PublicIPPrefixes.List"),
        (Ask(link="https://management.azure.com/subscriptions/s/providers/x/operations/1"), ""),
        (Ask("PUT", f"{GROUP}/Microsoft.Network/routeTables/rt"), ""),
    ],
)
def test_operations_have_ciliums_names(ask: Ask, operation: str) -> None:
    assert operation_of(ask) == operation


def test_buckets_are_ciliums() -> None:
    requests = Requests()
    requests.note(Heard(Ask(path=NIC), 1.2, 0.3, well=False))
    requests.note(Heard(Ask(path=NIC), 0.0, 0.3, well=True))
    took, waited = requests.metrics()
    bounds = [
        each.labels["le"] for each in took.samples if "le" in each.labels and each.labels["response_code"] == "OK"
    ]
    assert bounds[:6] == ["0.005", "0.025", "0.05", "0.1", "0.2", "0.4"]
    assert bounds[-3:] == ["45", "60", "+Inf"]
    assert len(bounds) == 24
    found = {each.labels.get("le", each.name): each.value for each in waited.samples}
    assert (found["1"], found["2.5"], found[f"{API}_rate_limit_duration_seconds_count"]) == (0, 1, 1)


def test_what_was_asked_is_told_with_what_held_it_up() -> None:
    """40 nodes at once: the budget has twenty requests, then four a second."""
    operator = Simulation(40)
    assert operator.run(60, operator.ready)
    operator.run(1)
    told = {(s.name, *s.labels.values()): s.value for m in operator.operator.metrics() for s in m.samples}
    count = f"{API}_duration_seconds_count"
    assert told[count, "VirtualMachineScaleSets.List", "OK"] == 1
    assert told[count, "VirtualMachineScaleSetVMs.Update", "OK"] == 40
    held_up = told[f"{API}_rate_limit_duration_seconds_count", "VirtualMachineScaleSetVMs.Update"]
    assert 20 <= held_up < 40
    assert told[f"{API}_rate_limit_duration_seconds_sum", "VirtualMachineScaleSetVMs.Update"] > held_up / 4
