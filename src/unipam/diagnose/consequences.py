"""Which findings follow from which: a cause and all that it brings about is one finding, not several.

The table says which kind explains which. Where both name a pool or a range, they must be about the same one.
"""

from __future__ import annotations

from collections.abc import Iterator

from unipam.diagnose.case import Case, Signal

Key = tuple[str, str]

EXPLAINS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (cause, frozenset(effects.split()))
    for cause, effects in (
        ("chain-failed", "range-exhausted leaked"),
        ("leaked", "azure-exhausted range-exhausted pool-full pool-nearly-full calico-exhausted calico-leak "
                   "reservations-without-pod"),
        ("calico-leak", "calico-exhausted calico-tunnel-address pool-full pool-nearly-full calico-block-limit"),
        ("reservations-without-pod", "range-exhausted pool-full"),
        ("stale-reservations", "bridge-address"),
        ("azure-capacity-zero", "azure-exhausted pool-full"),
        ("azure-nic-missing", "azure-exhausted azure-no-space azure-no-pool"),
        ("azure-exhausted", "pool-full"),
        ("range-exhausted", "pool-full"),
        ("cilium-exhausted", "pool-full cilium-at-capacity"),
        ("calico-block-limit", "calico-exhausted calico-tunnel-address"),
        ("calico-strict", "calico-exhausted calico-tunnel-address"),
        ("calico-exhausted", "calico-tunnel-address pool-full"),
        ("refresh-failed", "azure-no-space"),
        ("azure-save-failed", "state-corrupt state-empty"),
        ("state-corrupt", "empty-plugin-output"),
        ("lock-stuck", "lock-timeout lock-wait empty-plugin-output"),
        ("lock-timeout", "lock-wait empty-plugin-output"),
        ("plugin-crash", "empty-plugin-output"),
        ("subnet-full", "cns-shortage nnc-shortage cilium-exhausted cilium-assign-failed"),
        ("nnc-shortage", "cns-shortage"),
        ("cns-not-ready", "cns-unreachable no-cni"),
        ("cns-stale-nc", "cns-not-ready cns-unreachable"),
        ("cns-duplicate", "cns-not-ready cns-unreachable duplicate-holder"),
        ("throttled", "cilium-sync-failed cilium-exhausted cilium-assign-failed cilium-agent-waits"),
        ("azure-forbidden", "cilium-sync-failed cilium-assign-failed cilium-agent-waits"),
        ("cluster-cidr-full", "no-pod-cidr no-ranges flannel-not-ready"),
        ("no-pod-cidr", "no-ranges flannel-not-ready no-cni"),
        ("conflist-broken", "no-cni"),
        ("leak-resurrected", "leak-confirmed calico-affinity-kept calico-cleanup-failed"),
        ("calico-affinity-kept", "calico-cleanup-failed"),
        ("runtime-overloaded", "sandbox-name-reserved"),
    )
)  # fmt: skip
"""Cause, and the kinds that it explains. A cause may itself be explained by another."""

_SAME_POOL = frozenset({"azure-exhausted", "range-exhausted", "pool-full", "pool-nearly-full"})


def parents(case: Case) -> dict[Key, Key]:
    """Return, for each signal that another one explains, that other one."""
    found: dict[Key, Key] = {}
    for cause, effects in EXPLAINS:
        causes = [key for key in case.signals if key[0] == cause]
        for key in case.signals if causes else ():
            if key[0] in effects and key not in found:
                parent = next(
                    (known for known in causes if _same(case, known, key) and not _above(found, known, key)), None
                )
                if parent is not None:
                    found[key] = parent
    return found


def with_effects(case: Case, key: Key, children: dict[Key, list[Key]]) -> Iterator[Signal]:
    """Yield a signal, what it explains, what that explains, and so on."""
    yield case.signals[key]
    for child in children.get(key, ()):
        yield from with_effects(case, child, children)


def _above(found: dict[Key, Key], key: Key, other: Key) -> bool:
    """Return whether `other` explains `key` already: nothing explains its own cause."""
    above: Key | None = key
    while above is not None:
        if above == other:
            return True
        above = found.get(above)
    return False


def _same(case: Case, cause: Key, effect: Key) -> bool:
    """Return whether the two may be about one pool: one of them names none, or they name the same."""
    one, other = cause[1].removeprefix("pool "), effect[1].removeprefix("pool ")
    if effect[0] not in _SAME_POOL or not one or not other or one == other:
        return True
    if cause[0] in {"chain-failed", "cilium-exhausted", "calico-leak", "calico-exhausted"}:
        return True
    return effect[0] == "range-exhausted" and _holds_range(case, one, other)


def _holds_range(case: Case, directory: str, text: str) -> bool:
    """Return whether a host-local directory holds reservations of the range `first-last`."""
    stem = text.partition("-")[0].rpartition(".")[0]
    pool = case.pools.get(directory)
    return pool is not None and any(holder.address.startswith(f"{stem}.") for holder in pool.holders)
