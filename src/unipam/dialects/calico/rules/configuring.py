"""Which IPAM configurations make sense (spec §1.3).

Checked when one is set, as the original does, not when it is read.
"""

from __future__ import annotations

from unipam.dialects.calico.documents.configuration import Configuration
from unipam.model.errors import BadValue


def check(wanted: Configuration) -> None:
    """Raise BadValue, in the original's words, for a configuration with which nobody could be given anything."""
    if not wanted.strict and not wanted.auto_allocate:
        raise BadValue(
            "Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time", field="auto_allocate"
        )
    if wanted.max_blocks > 0 and not wanted.strict:
        raise BadValue("MaxBlocksPerHost requires StrictAffinity to be enabled", field="max_blocks")
