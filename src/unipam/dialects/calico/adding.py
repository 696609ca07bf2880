"""One ADD of calico-ipam: what it asks for, of whom, and what it gets; all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from unipam.addr.prefix import Prefix, format_address, parse_interface
from unipam.cni import call
from unipam.dialects.calico import arguments, connection, printing
from unipam.dialects.calico.arguments import Arguments
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.documents import node
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.documents.times import go_text
from unipam.dialects.calico.engine import auto, releasing
from unipam.dialects.calico.engine.auto import Request, auto_assign
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.engine.writing import Given, used_by, wishes
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import BadConfig, Exhausted, Mismatch, Missing, Refused, UnipamError

if TYPE_CHECKING:
    from unipam.dialects.calico import vms
    from unipam.dialects.calico.engine.parts import Gain

Addresses = list[tuple[int, Prefix]]

LAUNCHER = "virt-launcher-"
"""What the pods of KubeVirt's VMs are called."""

_MOST_NAMESPACES = 10_000


class Task(NamedTuple):
    """An ADD: what it is asked for, for whom, and how many addresses of a family that may have (0: any number)."""

    network: Network
    given: Arguments
    handle: str
    attributes: dict[str, str]
    most: int = 0
    moving: bool = False
    """Whether a VM is about to move to the pod."""


def prepare(network: Network, container: str, named: call.Arguments, session: Session) -> tuple[Task, Addresses]:
    """Return what an ADD with these CNI_ARGS is to do; and the addresses that a VM has already, noted as the pod's.

    Raises Missing, Mismatch, Refused, BadConfig.
    """
    given = arguments.load(named)
    attributes = {"node": network.node, "timestamp": go_text(session.clock())}
    if given.pod:
        attributes |= {"pod": given.pod, "namespace": given.namespace}
    vm = _kept_vm(network, given, session)
    if vm is None:
        return Task(network, given, network.handle(container), attributes), []
    task = Task(network, given, vm.handle(network.name), attributes | vm.attributes(), 1, bool(vm.migration))
    from unipam.dialects.calico import vms

    return task, vms.take(session, vm, task.handle, task.attributes)


def _kept_vm(network: Network, given: Arguments, session: Session) -> vms.Vm | None:
    """Return the VM whose addresses the pod is to have. Raises NotFound, Missing, Mismatch, Refused, BadConfig."""
    vm = vm_of(network, given, session)
    if vm is None or session.configuration().keeps_vm_addresses:
        return vm
    if vm.migration:
        why = "is not allowed when KubeVirtVMAddressPersistence is disabled"
        raise Refused(f"live migration target pod {why}", pod=given.pod)
    return None


def vm_of(network: Network, given: Arguments, session: Session) -> vms.Vm | None:
    """Return the VM that the pod of a call runs, if any.

    Raises NotFound when the pod is gone, Missing, Mismatch and BadConfig when its VM cannot be told.
    """
    if not given.pod.startswith(LAUNCHER):
        return None
    from unipam.dialects.calico import vms

    try:
        return vms.of_pod(_asker(network, session), given.namespace, given.pod)
    except (Missing, Mismatch, BadConfig) as error:
        raise type(error)(f"failed to get VMI info: {error.message}", **error.facts) from error


def _asker(network: Network, session: Session) -> vms.Get:
    return lambda path: connection.kubernetes(network.where, path, session.deadline)


class Assigned(NamedTuple):
    """What an ADD answers with, and by which wishes that of it which it was given is taken back."""

    addresses: Addresses
    wishes: list[Wish]


def assign(task: Task, session: Session) -> Assigned:
    """Assign what the call asks for: the one address that it names, or any.

    Raises what stands in the way, SourceFailed also when something is `left` that could not be given back.
    """
    address = task.given.address
    if address is None:
        return _any(task, session)
    from unipam.dialects.calico.engine import explicit

    node, attributes = task.network.node, task.attributes
    wanted = explicit.Request(address, node, task.handle, attributes, WORKLOAD, most=task.most)
    given = explicit.assign(session, wanted)[1]
    return Assigned([(address, printing.alone(address))], _wishes(task, given))


def _any(task: Task, session: Session) -> Assigned:
    """Assign one address of each family, or none: whatever stands in the way is raised once all is given back."""
    network = task.network
    requested = {family: resolve(session, network.pools[family], family) for family in (4, 6)}
    namespace = _namespace(task, session)
    found = Assigned([], [])
    for family in network.families:
        assigned = auto_assign(session, _request(task, family, requested[family], namespace))
        found.addresses.extend(assigned.addresses)
        found.wishes.extend(_wishes(task, assigned.given))
        if error := _shortfall(assigned):
            releasing.take_back(session.for_cleanup(), found.wishes)
            raise error
    return found


def _wishes(task: Task, given: Given) -> list[Wish]:
    """Return by which wishes what an ADD was given is taken back."""
    return wishes(given, task.handle, used_by(task.attributes, task.most))


def _request(task: Task, family: int, requested: Sequence[Prefix], namespace: dict[str, str]) -> Request:
    network = task.network
    return Request(
        1, family, network.node, task.handle, task.attributes, requested, WORKLOAD, network.max_blocks,
        most=task.most, namespace=namespace,
    )  # fmt: skip


def outlook(network: Network, session: Session) -> auto.Outlook | None:
    """Return what the node's known blocks have room for; None where an ADD needs more than one address.

    Raises what an ADD would.
    """
    if len(network.families) != 1:
        return None
    (family,) = network.families
    requested = {each: resolve(session, network.pools[each], each) for each in (4, 6)}
    task = Task(network, Arguments(), "", {})
    return auto.Outlook(session, _request(task, family, requested[family], {}))


def part_of(task: Task, session: Session, known: auto.Outlook | None) -> tuple[Prefix, Gain] | None:
    """Return how an ADD is met by a part in the write of one known block; None where more must be asked."""
    if known is None or task.given.address is not None or not _namespace_is_known(task, session):
        return None
    return known.part(session, task.handle, task.attributes)


def _shortfall(assigned: auto.Assigned) -> UnipamError | None:
    if assigned.error:
        return assigned.error
    problem = f"failed to request IPv{assigned.request.family} addresses: {assigned.shortfall}"
    return Exhausted(problem) if assigned.shortfall else None


def resolve(session: Session, names: tuple[str, ...], family: int) -> list[Prefix]:
    """Return the CIDRs of pools that are named or given as CIDRs. Raises BadConfig in the original's words."""
    known = {pool.name: pool.prefix for pool in session.pools()} if names else {}
    found = []
    for name in names:
        try:
            prefix = parse_interface(name)[1]
        except ValueError as error:
            if name not in known:
                raise BadConfig(f'error parsing pool "{name}": {error}') from None
            prefix = known[name]
        if prefix.family != family:
            raise BadConfig(f'"{format_address(prefix.first)}" isn\'t a IPv{family} address')
        found.append(prefix)
    return found


def _namespace_is_known(task: Task, session: Session) -> bool:
    """Return whether nobody need be asked for the pod's namespace.

    One that was there is not asked for again while no pool looks at its labels.
    """
    if not task.network.asks_for_namespace:
        return True
    namespace, seen = task.given.namespace or "default", session.namespaces
    return seen is not None and namespace in seen and not any(pool.namespace_selector for pool in session.pools())


def _namespace(task: Task, session: Session) -> dict[str, str]:
    """Return the labels of the pod's namespace, where the configuration says how to ask. Raises Missing, BadConfig."""
    if _namespace_is_known(task, session):
        return {}
    namespace, seen = task.given.namespace or "default", session.namespaces
    try:
        found = connection.kubernetes(task.network.where, connection.namespace_path(namespace), session.deadline)
    except (Missing, BadConfig) as error:
        raise Missing(f"failed to get namespace {namespace}: {error.message}", namespace=namespace) from error
    if seen is not None:
        if len(seen) >= _MOST_NAMESPACES:
            seen.clear()
        seen.add(namespace)
    return node.labels(found)
