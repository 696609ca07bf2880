"""Who keeps the pool of a CiliumNode fresh: in an agent those who follow it, without one each call for itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unipam.cni.context import Context
from unipam.cni.plugin import Learnt
from unipam.dialects.host_local.pod_cidr import Node
from unipam.dialects.native import space
from unipam.dialects.native.space import SPACE
from unipam.model.errors import BadConfig, BadValue, SourceFailed

if TYPE_CHECKING:
    from unipam.dialects.native.following import Following

_followed: dict[Node, Following] = {}
_lock = threading.Lock()


def keep_warm(context: Context, directory: str) -> list[Learnt]:
    """Follow the CiliumNode that the ledger in a directory is for; what is known of it. Raises BadValue."""
    ledger = context.ledgers.find(directory)
    known = space.known(ledger) if ledger else space.Known()
    if ledger is None or not known.node:
        return []
    follower = _follow(Node(known.node, known.kubeconfig), directory)
    if not follower.begun:
        return []
    pools = tuple((pool.name, pool.capacity) for pool in space.pools(ledger))
    return [Learnt(SPACE, pools, follower.problem, tuple(map(_astray, follower.taken.astray)))]


def _astray(lease: str) -> str:
    return (
        f"{lease} is not the node's any more by its CiliumNode, and stays with its pod until that ends:"
        " delete the pod, so that it gets another address"
    )


def _follow(whose: Node, directory: str) -> Following:
    """Return the one who follows this node, from now on if need be. Raises BadValue."""
    from unipam.dialects.native.following import Following

    with _lock:
        if whose not in _followed:
            _followed[whose] = Following(whose, directory)
        return _followed[whose]


def refresh(whose: Node, directory: str, context: Context, asked: Mapping[str, Any]) -> None:
    """See to it that what the ledger knows of the pool is fresh. Raises BadInput, WouldBlock, SourceFailed.

    Where the API server cannot be asked, what is known has to do, if anything is. A CiliumNode that an agent has to
    make itself asks for what is `asked`.
    """
    if not context.attended:
        _ask(whose, directory, context)
        return
    follower = _followed.get(whose)
    known = bool(follower and follower.knows) or space.is_known(context.ledgers.at(directory), whose)
    if follower is None or not known:
        context.require_waiting(f"CiliumNode {whose.name} is not known yet")
        try:
            follower = _follow(whose, directory)
        except BadValue:
            if known:
                return
            raise
    follower.wanted = asked
    if follower.directory != directory:
        raise BadConfig(
            f"ipam.dataDir is {directory}, and the pool of CiliumNode {whose.name} is kept in {follower.directory}:"
            " give all networks that share it the same",
            dataDir=directory,
        )
    if not known:
        follower.wait()
        if follower.problem and not space.is_known(context.ledgers.at(directory), whose):
            raise _unknown(whose, directory, follower.problem)


def _ask(whose: Node, directory: str, context: Context) -> None:
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.dialects.native import following

    ledger = context.ledgers.at(directory)
    try:
        with contextlib.closing(KubernetesApi(whose.kubeconfig)) as api:
            before = space.known(ledger)
            space.take(ledger, whose, following.read(api, whose), asked_after=before)
    except BadValue:  # of an agent in a pod the access is, which is away
        if not space.is_known(ledger, whose):
            raise
    except SourceFailed as error:
        if not space.is_known(ledger, whose):
            raise _unknown(whose, directory, error.message) from error


def _unknown(whose: Node, directory: str, problem: str) -> SourceFailed:
    return SourceFailed(
        f"the pool of CiliumNode {whose.name} is not known: {problem}: nothing is remembered in {directory}",
        source="kubernetes",
    )


def touch(*, urgent: bool = False) -> None:
    """Tell who follows that leases were changed; with `urgent` that somebody lacks an address."""
    for each in list(_followed.values()):
        each.touch(urgent=urgent)
