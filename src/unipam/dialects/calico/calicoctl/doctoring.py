"""`unipam calico doctor`: whether a cluster is fit for unipam, what to put right first, and what would change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.calicoctl import repairing
from unipam.dialects.calico.calicoctl.allocations import of_blocks
from unipam.dialects.calico.calicoctl.checking import Checked, check
from unipam.dialects.calico.calicoctl.observing import affinities, listed, observe
from unipam.dialects.calico.datastore.keys import HOST, NodeKey, PoolKey
from unipam.dialects.calico.datastore.names import HOSTNAME_HASH
from unipam.dialects.calico.documents.affinity import PENDING
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import LOAD_BALANCER
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules import configuring, limits, pool_checking
from unipam.dialects.calico.rules.pools import find
from unipam.dialects.calico.where import ETCD, KUBERNETES, Where
from unipam.model.errors import BadValue, Missing

FIT, NOTE, MEND, UNFIT = "fit", "note", "mend", "unfit"
"""It is as it should be; it is good to know; it works, and should be put right; unipam must not work with it."""


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do."""

    about: str
    verdict: str
    what: str

    def row(self) -> dict[str, str]:
        """Return it for people and machines."""
        return {"about": self.about, "verdict": self.verdict, "what": self.what}


def examine(session: Session, where: Where) -> list[Finding]:
    """Look at all of a cluster's IPAM. Raises SourceFailed where the datastore does not answer."""
    found = list(_datastore(session, where))
    if any(each.verdict == UNFIT for each in found):
        return found
    checked = check(observe(session, list), session.clock())
    return [
        *found,
        *_configuration(session),
        *_pools(session),
        *_blocks(checked),
        *_affinities(session, where),
        *_handles(session, checked),
        *_nodes(session, checked),
        *_changes(checked),
    ]


def _datastore(session: Session, where: Where) -> Iterator[Finding]:
    from unipam.dialects.calico.calicoctl.observing import cluster_of

    name = "etcd" if where.kind == ETCD else "the Kubernetes API"
    try:
        cluster = cluster_of(session)
    except Missing as error:
        yield Finding("datastore", UNFIT, f"{name} answers, and {error.message}")
        return
    version = cluster.version or "of unknown version"
    yield Finding("datastore", FIT, f"{name}, Calico {version}, cluster {cluster.guid or 'without a GUID'}")
    if cluster.locked:
        yield Finding("lock", MEND, "the datastore is locked: see who moves it, then `unipam calico datastore unlock`")


def _configuration(session: Session) -> Iterator[Finding]:
    found = session.configuration()
    limit = limits.effective(found.max_blocks, 0)
    said = f"strict affinity {'on' if found.strict else 'off'}, at most {limit} blocks a node and family"
    yield Finding("configuration", FIT, f"{said}, cooldown {found.cooldown} s")
    try:
        configuring.check(found)
    except BadValue as error:
        yield Finding("configuration", MEND, f"{error.message}: `unipam calico ipam configure`")


def _pools(session: Session) -> Iterator[Finding]:
    pools = session.pools()
    yield Finding("pools", FIT if pools else UNFIT, f"{len(pools)} pools, {sum(p.enabled for p in pools)} enabled")
    if complaints := session.complaints():
        yield Finding("pools", MEND, complaints)
    for item in listed(session, PoolKey):
        assert isinstance(item.key, PoolKey)
        try:
            wrong = pool_checking.problems(item.document.get("spec") or {})
        except BadValue as error:
            wrong = [pool_checking.Problem("spec.cidr", error.message)]
        for each in wrong:
            yield Finding(f"pool {item.key.name}", MEND, str(each))
    for number, pool in enumerate(pools):
        for other in pools[number + 1 :]:
            if pool.prefix.overlaps(other.prefix):
                yield Finding(f"pool {pool.name}", MEND, f"{pool.cidr} overlaps {other.cidr} of {other.name}")


def _blocks(checked: Checked) -> Iterator[Finding]:
    blocks = [stored.value for stored in checked.observed.blocks]
    yield Finding("blocks", FIT, f"{len(blocks)} blocks, {sum(map(len, checked.allocations.values()))} addresses")
    for name, why in checked.invalid:
        yield Finding(f"block {name}", MEND, why)
    for one, other in _overlapping([block.prefix for block in blocks]):
        yield Finding(
            f"block {other}", UNFIT, f"it overlaps {one}: an address may be given twice; empty one of the two"
        )
    for block in blocks:
        pool = find(checked.observed.pools, block.prefix.first)
        if pool is None:
            yield Finding(f"block {block.cidr}", NOTE, "it lies in no pool: it goes with its last address")
        elif pool.block_bits != block.prefix.bits:
            yield Finding(f"block {block.cidr}", MEND, f"its pool {pool.name} has blocks of /{pool.block_bits} by now")


def _overlapping(prefixes: list[Prefix]) -> Iterator[tuple[Prefix, Prefix]]:
    widest: Prefix | None = None
    for prefix in sorted(prefixes):
        if widest is not None and widest.overlaps(prefix):
            yield widest, prefix
        else:
            widest = prefix


def _affinities(session: Session, where: Where) -> Iterator[Finding]:
    found = affinities(session)
    pending = [item for item in found if item.document.get("state") == PENDING]
    yield Finding("affinities", FIT, f"{len(found)} claims on blocks")
    if pending:
        yield Finding(
            "affinities", NOTE, f"{len(pending)} are pending: a claim is under way, or was when somebody died"
        )
    if where.kind == KUBERNETES and (old := sum(_is_unlabelled(item.origin) for item in found)):
        why = "were made by an older Calico and have no labels; they are found all the same"
        yield Finding("affinities", NOTE, f"{old} {why}")


def _is_unlabelled(about: object) -> bool:
    return isinstance(about, dict) and HOSTNAME_HASH not in (about.get("labels") or {})


def _handles(session: Session, checked: Checked) -> Iterator[Finding]:
    handles = checked.observed.handles
    wrong = [each for each in repairing.plan(session, checked) if each.what.startswith("handle ")]
    yield Finding("handles", FIT, f"{len(handles)} handles, {len(checked.idle)} without an address")
    if wrong:
        what = f"{len(wrong)} leaked or count wrongly: `unipam calico ipam check --fix --dry-run`"
        yield Finding("handles", MEND, what)


def _nodes(session: Session, checked: Checked) -> Iterator[Finding]:
    nodes = {item.key.name for item in listed(session, NodeKey) if isinstance(item.key, NodeKey)}
    used = {each.node for several in checked.allocations.values() for each in several if not each.cools}
    gone = sorted(used - nodes - {""})
    yield Finding("nodes", FIT, f"{len(nodes)} nodes, {len(used & nodes)} with addresses")
    if gone:
        yield Finding("nodes", MEND, f"gone, and still hold addresses: {_some(gone)}")
    owners = {affinity.partition(":")[2] for affinity in _owners(checked) if affinity.startswith(f"{HOST}:")}
    if stale := sorted(owners - nodes - set(gone)):
        yield Finding("nodes", MEND, f"gone, and still own blocks: {_some(stale)}")
    if checked.unassigned:
        count = len(checked.unassigned)
        what = f"{count} addresses of pools are used unassigned: `unipam calico migrate`, if host-local's"
        yield Finding("nodes", MEND, what)


def _owners(checked: Checked) -> set[str]:
    return {stored.value.affinity or "" for stored in checked.observed.blocks}


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _changes(checked: Checked) -> Iterator[Finding]:
    """Yield what else would change on a node that unipam takes over, of what concerns this cluster."""
    blocks = [stored.value for stored in checked.observed.blocks]
    yield Finding("documents", NOTE, "they stay Calico's to the byte: nodes may change over, and back, one by one")
    yield Finding("calls", NOTE, "no lock of the node; CHECK looks; GC, STATUS and CNI 1.1.0 are served")
    if any(pool.enabled and LOAD_BALANCER in pool.uses for pool in checked.observed.pools):
        yield Finding("services", NOTE, "addresses of Services go on coming from Calico's kube-controllers")
    if any(each.is_windows for each in of_blocks(blocks)):
        yield Finding("windows", NOTE, "Windows nodes keep the original: unipam's launcher is for Linux")
    if any(".vmi." in each.handle for each in of_blocks(blocks)):
        yield Finding("virtual machines", NOTE, "they keep their addresses; the plugin needs a kubeconfig for that")
    if large := [block for block in blocks if _is_large(block)]:
        yield Finding("blocks", NOTE, f"{len(large)} have 4096 addresses: a full one is close to etcd's 1.5 MB")


def _is_large(block: Block) -> bool:
    return block.prefix.size >= 1 << 12


def is_fit(found: list[Finding]) -> bool:
    """Return whether unipam may work with the cluster."""
    return all(each.verdict != UNFIT for each in found)


def rows(found: list[Finding]) -> list[dict[str, Any]]:
    """Return findings for people and machines."""
    return [each.row() for each in found]
