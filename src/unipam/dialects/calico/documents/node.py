"""Node, as far as IPAM looks at it: its labels choose its pools."""

from __future__ import annotations

from typing import Any

from unipam.dialects.calico.documents.fields import field


def labels(document: dict[str, Any]) -> dict[str, str]:
    """Return the labels of a node, or of anything else that has metadata. Raises Unreadable."""
    metadata = field(document, "metadata", dict, {}, "a node")
    of = f"node {metadata.get('name')}"
    return {str(key): str(value) for key, value in field(metadata, "labels", dict, {}, of).items()}
