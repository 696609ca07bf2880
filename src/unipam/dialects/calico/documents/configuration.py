"""The cluster's one IPAM configuration (spec §1.3). A switch that is off is absent, and absent means off.

Only where there is no configuration at all blocks are claimed automatically.
"""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.dialects.calico.documents.fields import broken, field, rest

ENABLED, DISABLED = "Enabled", "Disabled"
LONGEST_COOLDOWN = 1200
"""Seconds: what `ipCooldownSeconds` may be at most (spec §1.3)."""


class Configuration(msgspec.Struct, frozen=True):
    """What holds for every node. `cooldown` is in seconds; `max_blocks` 0 means that nothing is said."""

    strict: bool = False
    auto_allocate: bool = True
    max_blocks: int = 0
    persistence: str | None = None
    cooldown: int = 0
    rest: dict[str, Any] = {}

    @property
    def keeps_vm_addresses(self) -> bool:
        """Whether a KubeVirt VM keeps its addresses while its pods come and go."""
        return self.persistence != DISABLED

    def document(self) -> dict[str, Any]:
        """Return the configuration as it is stored."""
        values = {
            "strict_affinity": self.strict,
            "auto_allocate_blocks": self.auto_allocate,
            "maxBlocksPerHost": self.max_blocks,
            "kubeVirtVMAddressPersistence": self.persistence,
            "ipCooldownSeconds": self.cooldown,
        }
        return {**{name: value for name, value in values.items() if value}, **self.rest}


DEFAULT = Configuration()
_OF = "the IPAM configuration"
_KNOWN = frozenset(
    ("strict_affinity", "auto_allocate_blocks", "maxBlocksPerHost", "kubeVirtVMAddressPersistence", "ipCooldownSeconds")
)


def read(document: dict[str, Any]) -> Configuration:
    """Read the configuration in a document. Raises Unreadable."""
    found = Configuration(
        field(document, "strict_affinity", bool, False, _OF),
        field(document, "auto_allocate_blocks", bool, False, _OF),
        field(document, "maxBlocksPerHost", int, 0, _OF),
        field(document, "kubeVirtVMAddressPersistence", str, "", _OF) or None,
        field(document, "ipCooldownSeconds", int, 0, _OF),
        rest(document, _KNOWN),
    )
    if found.max_blocks < 0 or found.cooldown < 0:
        raise broken(_OF, "maxBlocksPerHost and ipCooldownSeconds must not be negative", "maxBlocksPerHost")
    return found
