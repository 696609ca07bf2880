"""Blocks of sixteen addresses at interfaces that can have them, and single ones elsewhere (46072)."""

from __future__ import annotations

from tests.controllers.cilium.simulation import Simulation
from tests.fakes.azure_compute import GROUP
from tests.fakes.azure_http import Refused

from unipam.dialects.cilium.planning import Policy

BLOCKS = Policy(blocks=True, release=True, release_after=60.0)


def alone(policy: Policy = BLOCKS, cidr: str = "10.240.0.0/16", **wanted: int) -> Simulation:
    """A machine that stands alone, and its node."""
    operator = Simulation(0, policy=policy, cidr=cidr)
    operator.node("vm", operator.compute.alone("vm"), **wanted)
    return operator


def machine(operator: Simulation, name: str = "vm") -> str:
    return str(operator.cluster.documents[name]["spec"]["instance-id"])


def puts(operator: Simulation) -> int:
    return len(operator.azure.asked("PUT"))


def test_sixteen_addresses_come_of_one_configuration() -> None:
    operator = alone()
    assert operator.run(30, lambda: operator.ready(16))
    assert operator.pool("vm") == operator.compute.addresses(machine(operator))
    assert (operator.compute.configurations(machine(operator)), puts(operator)) == (1, 1)
    (put,) = operator.azure.asked("PUT")
    assert put.ask.body is not None
    new = put.ask.body["properties"]["ipConfigurations"][-1]["properties"]
    assert new["privateIPAddressPrefixLength"] == 28
    operator.run(300)
    assert puts(operator) == 1, "what is too much is less than a block"


def test_a_node_has_more_than_256() -> None:
    operator = alone(pre_allocate=400)
    assert operator.run(60, lambda: operator.ready(400))
    assert puts(operator) == 1
    assert len(operator.compute.addresses(machine(operator))) == 400
    assert operator.error("vm") == ""


def test_a_machine_of_a_scale_set_gets_single_addresses() -> None:
    operator = Simulation(1, policy=BLOCKS)
    assert operator.run(30, operator.ready)
    assert operator.compute.configurations(operator.ids[0]) == 8


def test_where_no_block_is_to_be_had_single_addresses_are_taken() -> None:
    """The subnet is scattered: one refusal, then addresses, and no more blocks until there is room for another one."""
    operator = alone()
    operator.compute.scatter()
    assert operator.run(30, lambda: operator.ready(8))
    assert operator.compute.configurations(machine(operator)) == 8
    assert [each.status for each in operator.azure.asked("PUT")] == [400, 200]
    operator.use("vm", 8)
    assert operator.run(30, lambda: operator.ready(16))
    assert [each.status for each in operator.azure.asked("PUT")] == [400, 200, 200]


def test_a_field_that_azure_passes_over_is_not_sent_again() -> None:
    operator = alone()
    hook = operator.compute

    class Older:
        """An older API: it does not know the field."""

        def check(self, path: str, body: dict[str, object]) -> None:
            for each in body["properties"]["ipConfigurations"]:  # type: ignore[index]
                each["properties"].pop("privateIPAddressPrefixLength", None)
            hook.check(path, body)

        begun, ended = staticmethod(hook.begun), staticmethod(hook.ended)

    operator.azure.arm.hooks["/networkinterfaces/"] = Older()
    assert operator.run(60, lambda: operator.ready(8))
    assert operator.compute.configurations(machine(operator)) == 8
    assert puts(operator) == 2


def test_strict_max_allocate_bounds_blocks() -> None:
    operator = alone(BLOCKS._replace(strict=True), max_allocate=20, pre_allocate=30)
    operator.run(60)
    assert len(operator.pool("vm")) == 20
    assert operator.compute.configurations(machine(operator)) == 1 + 4


def test_a10_a_block_goes_as_a_whole_when_its_sixteen_were_given_up() -> None:
    """A10: and not while one of them is used."""
    operator = alone()
    assert operator.run(30, lambda: operator.ready(16))
    operator.use("vm", 20)
    assert operator.run(30, lambda: operator.ready(32))
    operator.use("vm", 20)
    kept = {ip for ip in operator.agents["vm"].pods if ip == max(operator.agents["vm"].pods)}
    operator.agents["vm"].pods = kept
    for _ in range(40):
        operator.agents["vm"].tell()
        operator.run(15)
    assert len(operator.pool("vm")) == 16
    assert kept <= operator.pool("vm") == operator.compute.addresses(machine(operator))
    assert operator.cluster.documents["vm"]["status"]["ipam"]["release-ips"] == {}


def test_a10_a_block_is_not_taken_from_under_a_pod_that_came_meanwhile() -> None:
    """A10: fifteen were given up, one was kept: the handshake of the fifteen is called off, and pods may have them."""
    operator = alone()
    assert operator.run(30, lambda: operator.ready(16))
    operator.use("vm", 20)
    assert operator.run(30, lambda: operator.ready(32))
    agent = operator.agents["vm"]
    agent.pods.clear()
    agent.tell()
    operator.run(75)
    marked = sorted(operator.cluster.documents["vm"]["status"]["ipam"]["release-ips"])
    assert len(marked) == 16
    agent.pods.add(marked[3])  # the agent has not seen the mark yet
    agent.tell()
    operator.run(300)
    assert len(operator.compute.addresses(machine(operator))) == 32
    assert not {ip for verb, ip, _ in operator.compute.history if verb == "take"}
    free = set(agent.free)
    assert set(marked) - {marked[3]} <= free | {ip for ip in marked if ip not in free}


def test_no_right_is_no_reason_to_try_without_blocks() -> None:
    operator = alone()
    operator.azure.fault = lambda ask: Refused(403, "AuthorizationFailed", "no right") if ask.writes else None
    operator.run(50)
    assert puts(operator) == 1
    operator.azure.fault = lambda _: None
    assert operator.run(60, lambda: operator.ready(16))


class Ranges:
    """An agent of the newer kind: it takes addresses of what the status shows, and says which ranges it holds."""

    def __init__(self, operator: Simulation, name: str) -> None:
        self.operator, self.name = operator, name
        self.held: set[str] = set()

    @property
    def shown(self) -> set[str]:
        """What it may take."""
        azure = self.operator.cluster.documents[self.name]["status"]["azure"]
        return {each["ip"] for nic in azure["interfaces"] for each in nic.get("addresses", [])}

    def hold(self, used: int) -> None:
        """Use so many, and keep eight besides."""
        free = sorted(self.shown - self.held)
        while len(self.held) < used + 8 and free:
            self.held.add(free.pop(0))
        while len(self.held) > used + 8:
            self.held.remove(max(self.held))
        spec = self.operator.cluster.documents[self.name]["spec"]["ipam"]
        spec["pools"] = {
            "requested": [{"pool": "default", "needed": {"ipv4-addrs": used + 8}}],
            "allocated": [{"pool": "default", "cidrs": [f"{ip}/32" for ip in sorted(self.held)]}],
        }
        self.operator.cluster.put(self.name, self.operator.cluster.documents[self.name])


def ranges() -> tuple[Simulation, Ranges]:
    """A node whose agent has used sixteen, and uses two."""
    operator = Simulation(1, policy=Policy(release=True, release_after=60.0))
    assert operator.run(30, operator.ready)
    agent = Ranges(operator, "n0")
    for used in (0, 8, 16):
        agent.hold(used)
        assert operator.run(30, lambda used=used: operator.ready(used + 8))  # type: ignore[misc]
        agent.hold(used)
    agent.hold(2)
    return operator, agent


def test_a10_ranges_that_an_agent_leaves_out_are_taken_after_the_delay() -> None:
    """A10: hidden from the agent first, then taken; what it holds stays."""
    operator, agent = ranges()
    operator.run(62)
    assert len(operator.compute.addresses(operator.ids[0])) == 24
    assert agent.shown == agent.held, "what it left out is shown no more"
    operator.run(70)
    assert operator.compute.addresses(operator.ids[0]) == agent.held == operator.pool("n0")
    assert "release-ips" not in operator.cluster.documents["n0"]["status"]["ipam"]
    agent.hold(8)
    assert operator.run(30, lambda: operator.ready(16))


def test_a10_a_range_that_is_held_again_is_shown_again() -> None:
    """A10: called off until it is taken, also after a restart, which begins the delay anew."""
    operator, agent = ranges()
    operator.run(50)
    operator.start()
    operator.run(50)
    assert len(agent.shown) == 24
    operator.run(15)
    assert len(agent.shown) == 10
    agent.held |= {max(operator.compute.addresses(operator.ids[0]))}  # it was on its way
    agent.hold(16)
    operator.run(1)
    assert len(agent.shown) == 24
    operator.run(300)
    assert len(operator.compute.addresses(operator.ids[0])) == 24


def test_what_a_scale_set_model_says_of_blocks_is_passed_over_by_the_fake() -> None:
    """The fake is as the issues tell of the real one: the field is ignored there."""
    operator = Simulation(1)
    model = operator.azure.arm.get(operator.ids[0])
    assert model is not None
    assert GROUP.lower() in model["id"].lower()
    (nic,) = model["properties"]["networkProfileConfiguration"]["networkInterfaceConfigurations"]
    extra = {"primary": False, "privateIPAddressPrefixLength": 28, "subnet": {"id": operator.compute.subnet}}
    nic["properties"]["ipConfigurations"].append({"name": "x", "properties": extra})
    model["properties"]["storageProfile"].pop("imageReference")
    operator.compute.check(model["id"], model)
    operator.compute.begun(model["id"], model)
    operator.compute.ended(model["id"], model, well=True)
    assert len(operator.compute.addresses(operator.ids[0])) == 1


def test_a10_what_was_taken_from_an_interface_that_stands_alone_does_not_come_back() -> None:
    """Seen on a genuine cluster: the answer to a write shows what it removes, and the next write put it back."""
    operator = alone(Policy(release=True, release_after=20.0))
    for used in (0, 8, 16):
        operator.use("vm", min(used, 8))
        assert operator.run(60, lambda: operator.ready(used + 8))  # noqa: B023 (called here and now)
    for fewer in (1, 13):
        operator.use("vm", -fewer)
        for _ in range(12):
            operator.run(10)
            operator.agents["vm"].tell()
    assert len(operator.compute.addresses(machine(operator))) == 10
    given = [each for verb, each, _ in operator.compute.history if verb == "give"]
    assert len(given) == 25, "the primary one and 24, each once"
