"""What may go from a model after a write that failed: nothing that a pod could have, however old what is told is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dialects.cilium.test_nodes import nic, node

from unipam.addr.prefix import parse_prefix
from unipam.dialects.cilium.leftovers import Known, leftovers
from unipam.model.errors import Missing


def model(*configurations: str) -> dict[str, Any]:
    """A machine whose one interface is to have these."""
    inner = {"ipConfigurations": [{"name": each, "properties": {}} for each in configurations]}
    return {
        "properties": {
            "networkProfileConfiguration": {
                "networkInterfaceConfigurations": [{"name": "aks-nic", "properties": inner}]
            }
        }
    }


def told(*addresses: tuple[str, str]) -> list[dict[str, Any]]:
    """The interface, with these configurations and addresses; an empty one is not there yet."""
    inner = [{"name": name, "properties": {"privateIPAddress": ip}} for name, ip in addresses]
    properties = {"virtualMachine": {"id": "/m"}, "ipConfigurations": inner}
    return [{"id": "/m/networkInterfaces/aks-nic", "name": "aks-nic", "properties": properties}]


def left(known: Known, *addresses: tuple[str, str]) -> set[str]:
    return leftovers(model("c0", "c1", "c2", "late"), "aks-nic", known, told(*addresses))


def test_what_neither_view_shows_can_go() -> None:
    assert left(Known(node(), [nic(count=2)]), ("c2", "10.240.0.9")) == {"late"}


def test_what_has_no_address_yet_stays() -> None:
    assert left(Known(node(), [nic(count=3)]), ("late", "")) == set()


@pytest.mark.parametrize("pool", [("10.240.0.5",), ("10.240.0.5", "10.240.0.9")])
@pytest.mark.parametrize("field", ["pool", "used"])
def test_nothing_goes_while_an_address_that_pods_may_have_is_not_shown(pool: tuple[str, ...], field: str) -> None:
    """Both views are from before c2 was given: it is in the model, and a pod may have it."""
    said = node()._replace(**{field: frozenset(pool)})
    shown = set(pool) <= {"10.240.0.4", "10.240.0.5"}
    assert left(Known(said, [nic(count=2)])) == ({"c2", "late"} if shown else set())


@pytest.mark.parametrize(("held", "gone"), [("10.240.0.4/31", {"c2", "late"}), ("10.240.0.4/30", set())])
def test_nothing_goes_while_a_range_that_the_agent_holds_is_not_shown_wholly(held: str, gone: set[str]) -> None:
    assert left(Known(node()._replace(allocated=(parse_prefix(held),)), [nic(count=2)])) == gone


def test_a_model_without_the_interface_is_refused() -> None:
    with pytest.raises(Missing):
        leftovers(model("c0"), "other", Known(node(), []), [])
