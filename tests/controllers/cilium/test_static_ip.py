"""A node's static public address: by tags, once, for machines of both kinds (42219, 43598, 46240)."""

from __future__ import annotations

from tests.controllers.cilium.simulation import Simulation
from tests.fakes.azure_public_ips import PublicIps

TAGS = {"static-ip-tags": {"pool-name": "prod"}}


def made(machines: int = 1, *, alone: bool = False) -> tuple[Simulation, PublicIps]:
    """Machines whose nodes name tags, and no prefix yet."""
    operator = Simulation(0)
    public = PublicIps(operator.compute)
    ids = operator.compute.scale_set("np", 0 if alone else machines)
    ids += [operator.compute.alone(f"vm{index}") for index in range(machines if alone else 0)]
    for index, each in enumerate(ids):
        operator.node(f"n{index}", each, **TAGS)
    operator.ids = ids
    return operator, public


def address(operator: Simulation, name: str = "n0") -> str:
    ipam = operator.cluster.documents[name].get("status", {}).get("ipam", {})
    return str(ipam.get("assigned-static-ip", ""))


def test_a_machine_of_a_scale_set_gets_an_address_of_the_prefix_with_its_tags() -> None:
    operator, public = made()
    public.prefix("other", "198.51.100.0", 28, **{"pool-name": "test"})
    public.prefix("mine", "203.0.113.16", 28, **{"pool-name": "prod", "team": "a"})
    assert operator.run(60, lambda: bool(address(operator)))
    assert address(operator) == "203.0.113.16"
    assert len(operator.pool("n0")) == 8, "pods come first"
    model = operator.azure.arm.get(operator.ids[0])
    assert model is not None
    (nic,) = model["properties"]["networkProfileConfiguration"]["networkInterfaceConfigurations"]
    first, *others = nic["properties"]["ipConfigurations"]
    assert first["properties"]["publicIPAddressConfiguration"]["name"] == "cilium-managed-public-ip"
    assert not [each for each in others if "publicIPAddressConfiguration" in each["properties"]]


def test_a_machine_that_stands_alone_gets_one_too() -> None:
    operator, public = made(alone=True)
    public.prefix("mine", "203.0.113.16", 28, **{"pool-name": "prod"})
    assert operator.run(60, lambda: bool(address(operator)))
    assert list(public.given) == [address(operator)]
    assert len(operator.pool("n0")) == 8


def test_what_was_given_is_not_given_again_after_a_restart() -> None:
    """And not when the record was lost: the model says that it has one."""
    operator, public = made(2)
    public.prefix("mine", "203.0.113.16", 28, **{"pool-name": "prod"})
    assert operator.run(60, lambda: bool(address(operator) and address(operator, "n1")))
    before = len(operator.azure.asked("PUT"))
    operator.start()
    operator.run(300)
    first = address(operator)
    operator.cluster.documents["n0"]["status"]["ipam"].pop("assigned-static-ip")
    operator.cluster.put("n0", operator.cluster.documents["n0"])
    operator.start()
    assert operator.run(60, lambda: bool(address(operator)))
    assert (address(operator), len(public.given)) == (first, 2)
    assert len(operator.azure.asked("PUT")) == before


def test_a_prefix_that_turns_out_to_be_full_is_passed_over() -> None:
    """It claims to have room (43598); the next one that fits is taken."""
    operator, public = made()
    full = public.prefix("a", "198.51.100.0", 31, **{"pool-name": "prod"})
    public.given |= {"198.51.100.0": "x", "198.51.100.1": "x"}
    public.prefix("b", "203.0.113.0", 31, **{"pool-name": "prod"})
    assert operator.run(60, lambda: bool(address(operator)))
    assert address(operator).startswith("203.0.113.")
    assert full.endswith("/a")


def test_a_process_that_died_over_a_full_prefix_does_not_leave_the_machine_with_it() -> None:
    """The write failed, and nobody was there to try the next prefix."""
    operator, public = made()
    full = public.prefix("a", "198.51.100.0", 31, **{"pool-name": "prod"})
    public.given |= {"198.51.100.0": "x", "198.51.100.1": "x"}
    public.prefix("b", "203.0.113.0", 31, **{"pool-name": "prod"})
    assert operator.run(60, lambda: bool(operator.azure.asked("GET", "publicIPPrefixes")))
    assert operator.run(60, lambda: len(operator.azure.asked("PUT")) == 2)
    operator.start()
    assert operator.run(120, lambda: bool(address(operator)))
    assert address(operator).startswith("203.0.113.")
    assert full not in public.given.values()


def failed_for_another_reason(operator: Simulation) -> None:
    """The last write of the machine's model has failed, and its record of a public address is lost."""
    operator.azure.arm.raw(operator.ids[0])["properties"]["provisioningState"] = "Failed"
    operator.cluster.documents["n0"]["status"]["ipam"].pop("assigned-static-ip")
    operator.cluster.put("n0", operator.cluster.documents["n0"])
    operator.start()


def test_an_address_that_a_machine_has_is_not_changed_when_another_write_has_failed() -> None:
    operator, public = made()
    public.prefix("a", "198.51.100.0", 28, **{"pool-name": "prod"})
    public.prefix("b", "203.0.113.0", 28, **{"pool-name": "prod"})
    assert operator.run(60, lambda: bool(address(operator)))
    before, written = address(operator), len(operator.azure.asked("PUT"))
    failed_for_another_reason(operator)
    assert operator.run(60, lambda: bool(address(operator)))
    assert (address(operator), len(operator.azure.asked("PUT"))) == (before, written)


def test_a_public_address_of_somebody_elses_is_not_replaced() -> None:
    """A machine that a person has given one, of a prefix without these tags, and whose last write has failed."""
    operator, public = made()
    hers = public.prefix("hers", "192.0.2.0", 31)
    public.prefix("mine", "203.0.113.16", 28, **{"pool-name": "prod"})
    profile = operator.azure.arm.raw(operator.ids[0])["properties"]["networkProfileConfiguration"]
    (nic,) = profile["networkInterfaceConfigurations"]
    given = {"name": "pip", "properties": {"publicIPPrefix": {"id": hers}}}
    nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = given
    assert operator.run(60, lambda: bool(address(operator)))
    assert address(operator) == "192.0.2.0"
    public.given.clear()  # it is on its way still
    operator.azure.arm.drop(
        f"{operator.ids[0]}/networkInterfaces/aks-nic/ipConfigurations/ipconfig1/publicIPAddresses/managed"
    )
    failed_for_another_reason(operator)
    operator.run(120)
    assert "does not tell yet" in operator.error("n0")
    assert nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] == given


def test_another_machine_under_a_nodes_name_gets_an_address_of_its_own() -> None:
    """Made anew between two looks: nothing of the one before is said of it."""
    operator, public = made(2)
    public.prefix("mine", "203.0.113.16", 28, **{"pool-name": "prod"})
    assert operator.run(60, lambda: bool(address(operator) and address(operator, "n1")))
    operator.run(5)
    first, second = address(operator), address(operator, "n1")
    operator.cluster.remove("n0")
    operator.cluster.remove("n1")
    operator.node("n0", operator.ids[1], **TAGS)
    assert operator.run(60, lambda: bool(address(operator)))
    assert address(operator) == second != first
    assert operator.pool("n0") == operator.compute.addresses(operator.ids[1])


def test_no_prefix_is_told_and_does_not_keep_pods_waiting() -> None:
    """No loop (46240): some ten calls an hour, each told once."""
    operator, public = made()
    assert operator.run(30, operator.ready)
    operator.run(5)
    assert "no public IP prefix" in operator.error("n0")
    assert "pool-name=prod" in operator.error("n0")
    assert [reason for name, reason, _ in operator.cluster.events if name == "n0"] == ["AddressesShort"]
    before = len(operator.azure.asked("GET", "publicIPPrefixes"))
    operator.run(3600)
    assert len(operator.azure.asked("GET", "publicIPPrefixes")) - before <= 6
    public.prefix("mine", "203.0.113.16", 28, **{"pool-name": "prod"})
    assert operator.run(3700, lambda: bool(address(operator)))
    operator.run(1)
    assert operator.error("n0") == ""
    assert operator.cluster.events[-1][1] == "AddressesServed"
