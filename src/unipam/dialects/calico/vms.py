"""Addresses of KubeVirt VMs, which stay with the VM while its pods come and go, and move with it (spec §1.17).

A pod `virt-launcher-…` runs a VM: it holds the VM's addresses, and while the VM moves to another node a second pod
is noted beside it. Felix makes the second one the first when the VM has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from unipam.addr.prefix import Prefix, format_address
from unipam.dialects.calico.engine import releasing
from unipam.dialects.calico.engine.holding import held_by, holder_of, set_owners
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules import names, owners
from unipam.dialects.calico.rules.owners import Owners, Pod
from unipam.model.errors import Mismatch, Missing, NotFound

_GROUP = "kubevirt.io/v1"
_MIGRATION = "kubevirt.io/migrationJobUID"
"""The label of a pod to which a VM is about to move."""

Get = Callable[[str], Mapping[str, Any]]
"""Gives the object at a path of the Kubernetes API. Raises NotFound."""


class Vm(NamedTuple):
    """The VM that a pod runs: its instance's name and uid, its own uid if it has one, and the move that the pod is for.

    `going` says that it is being deleted, and with it its addresses.
    """

    namespace: str
    name: str
    uid: str
    vm_uid: str
    migration: str
    going: bool

    def handle(self, network: str) -> str:
        """Return the handle of its addresses."""
        return names.vm(network, self.namespace, self.name)

    def attributes(self) -> dict[str, str]:
        """Return what is written down of it with an address."""
        found = {"vmi-name": self.name, "vmi-uid": self.uid, "vm-uid": self.vm_uid, "vmim-uid": self.migration}
        return {name: value for name, value in found.items() if value}


def of_pod(get: Get, namespace: str, pod: str) -> Vm | None:
    """Return the VM that a pod runs, if any. Raises NotFound when the pod is gone, Missing, Mismatch."""
    try:
        found = get(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}")
    except NotFound:
        raise NotFound("pod not found", pod=pod) from None
    reference = _owner(found, "VirtualMachineInstance", controller=True)
    if reference is None:
        return None
    instance = _get(get, namespace, "virtualmachineinstances", reference["name"])
    about = instance["metadata"]
    if about["uid"] != reference["uid"]:
        given, there = reference["uid"], about["uid"]
        problem = f"VMI UID mismatch: pod ownerReference has {given} but VMI resource has {there}"
        raise Mismatch(problem, pod=pod)
    own = _owner(instance, "VirtualMachine", controller=False)
    machine = _get(get, namespace, "virtualmachines", own["name"])["metadata"] if own else {}
    labels = found["metadata"].get("labels") or {}
    going = (machine if own else about).get("deletionTimestamp")
    return Vm(namespace, about["name"], about["uid"], machine.get("uid", ""), labels.get(_MIGRATION, ""), bool(going))


def _owner(found: Mapping[str, Any], kind: str, *, controller: bool) -> Mapping[str, str] | None:
    references: Iterable[Mapping[str, Any]] = found["metadata"].get("ownerReferences") or ()
    return next(
        (
            each
            for each in references
            if (each.get("apiVersion"), each.get("kind")) == (_GROUP, kind)
            and (not controller or each.get("controller") is True)
        ),
        None,
    )


def _get(get: Get, namespace: str, plural: str, name: str) -> Mapping[str, Any]:
    try:
        return get(f"/apis/{_GROUP}/namespaces/{quote(namespace, safe='')}/{plural}/{quote(name, safe='')}")
    except NotFound as error:
        problem = f"failed to query VMI resource {namespace}/{name}: {error.message}"
        raise Missing(problem, name=name) from error


def take(session: Session, vm: Vm, handle: str, attributes: dict[str, str]) -> list[tuple[int, Prefix]]:
    """Return the addresses that a VM has already, noted as its pod's: whoever was noted before is overwritten.

    None when it has none yet. Raises Missing for a pod to which the VM is about to move then.
    """
    try:
        held = held_by(session, handle)
    except NotFound:
        held = []
    if not held and vm.migration:
        raise Missing(f"migration target pod but no IP allocated to VM handle {handle}", handle=handle)

    def noted(found: Owners) -> Owners:
        return found._replace(alternate=attributes) if vm.migration else found._replace(active=attributes)

    for address, prefix in held:
        set_owners(session, address, prefix, handle, noted)
    return held


def leave(session: Session, vm: Vm, handle: str, pod: Pod) -> list[str]:
    """Note that a pod is gone. Release the VM's addresses if it goes too and no other pod is noted; which they are."""
    try:
        held = held_by(session, handle)
    except NotFound:
        return []
    for address, prefix in held:
        set_owners(session, address, prefix, handle, lambda found: owners.without(pod, found))
    if not vm.going or any(_is_noted(session, address, prefix) for address, prefix in held):
        return []
    return list(map(format_address, releasing.by_handle(session, handle)))


def _is_noted(session: Session, address: int, prefix: Prefix) -> bool:
    holder = holder_of(session, address, prefix)
    return bool(holder and (holder.get("secondary") or holder.get("alternateOwnerAttrs")))
