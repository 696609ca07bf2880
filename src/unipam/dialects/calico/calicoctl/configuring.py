"""`ipam configure`: the cluster's IPAM configuration is changed (spec §3.4)."""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.dialects.calico.datastore.keys import ConfigKey
from unipam.dialects.calico.documents import configuration
from unipam.dialects.calico.documents.configuration import DISABLED, ENABLED, LONGEST_COOLDOWN, Configuration
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.session import TRIES, Session
from unipam.dialects.calico.rules import configuring
from unipam.model.errors import BadValue, Conflict, Exists, NotFound


def parse(strict: str, max_blocks: str, persistence: str, cooldown: int | None) -> dict[str, Any]:
    """Return what is to change, as fields of a Configuration. Raises BadValue in calicoctl's words."""
    changes: dict[str, Any] = {}
    if strict:
        if strict not in _FLAGS:
            raise BadValue("invalid value. Use true or false to set strictaffinity", field="strictaffinity")
        changes["strict"] = _FLAGS[strict]
    if max_blocks:
        try:
            changes["max_blocks"] = int(max_blocks)
        except ValueError:
            raise BadValue("invalid value for maxblockhost. Use a valid number", field="max-blocks-per-host") from None
    if persistence:
        if persistence not in {ENABLED, DISABLED}:
            problem = "invalid value for --kubevirt-ip-persistence. Use Enabled or Disabled"
            raise BadValue(problem, field="kubevirt-ip-persistence")
        changes["persistence"] = persistence
    if cooldown is not None:
        changes["cooldown"] = cooldown
    if not changes:
        raise BadValue("at least one configuration option must be specified")
    return changes


_FLAGS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True)
_FLAGS |= dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)


def configure(session: Session, changes: dict[str, Any], *, dry_run: bool = False) -> Configuration:
    """Change the configuration; return it as it is then.

    Raises BadValue for one with which nobody could be given anything, or that no datastore should have.
    """
    for _ in range(TRIES):
        try:
            stored = session.datastore.get(ConfigKey(), session.deadline)
        except NotFound:
            stored = None
        before = configuration.read(stored.document) if stored else configuration.DEFAULT
        before = msgspec.structs.replace(before, persistence=before.persistence or ENABLED)
        after = msgspec.structs.replace(before, **changes)
        _check(after)
        if dry_run or after == before:
            return after
        try:
            if stored:
                session.datastore.update(stored._replace(document=after.document()), session.deadline)
            else:
                session.datastore.create(ConfigKey(), after.document(), session.deadline)
            return after
        except (Conflict, Exists, NotFound):
            continue
    raise too_busy()


def _check(wanted: Configuration) -> None:
    """Raise BadValue for what no datastore should have; of the cooldown's limit an etcd knows nothing."""
    configuring.check(wanted)
    if wanted.max_blocks < 0:
        raise BadValue("MaxBlocksPerHost must not be negative", field="max-blocks-per-host", value=wanted.max_blocks)
    if not 0 <= wanted.cooldown <= LONGEST_COOLDOWN:
        problem = f"IPCooldownSeconds must be from 0 to {LONGEST_COOLDOWN}, not {wanted.cooldown}"
        raise BadValue(problem, field="ip-cooldown-seconds", value=wanted.cooldown)


NAMES = {
    "strict": "StrictAffinity",
    "max_blocks": "MaxBlocksPerHost",
    "persistence": "KubeVirtVMAddressPersistence",
    "cooldown": "IPCooldownSeconds",
}
"""What calicoctl calls the fields that can be changed, in the order in which it tells of them."""
