"""Metadata of custom resources of crd.projectcalico.org/v1, which hides that of the resource that users see.

The metadata of the resource of projectcalico.org/v3 stands in an annotation of the stored one (spec calico-ipam §4.3).
"""

from __future__ import annotations

from typing import Any

import msgspec

HIDDEN = "projectcalico.org/metadata"
"""The annotation."""
_OURS = ("projectcalico.org/", "operator.tigera.io/")
"""Labels and annotations of these stand on the stored resource, too."""
_STORED = ("name", "namespace", "uid", "resourceVersion", "managedFields", "generation", "selfLink")
"""What is the stored resource's own, and never in the annotation."""
_ORDER = ("generateName", "creationTimestamp", "labels", "annotations", "ownerReferences", "finalizers")
"""What is in the annotation, in the order in which Go writes it."""
_REVERSED = [int(f"{byte:08b}"[::-1], 2) for byte in range(256)]

Metadata = dict[str, Any]


def hide(shown: Metadata, name: str) -> Metadata:
    """Return the metadata of the stored resource whose users see `shown`."""
    ordered = sorted((_ORDER.index(field), field) for field in shown if field in _ORDER)
    kept = {field: _sorted(shown[field]) for _, field in ordered}
    annotations = _ours(shown.get("annotations") or {}) | {HIDDEN: msgspec.json.encode(kept).decode()}
    labels = _ours(shown.get("labels") or {})
    return {"name": name, "annotations": annotations, **({"labels": labels} if labels else {})}


def show(stored: Metadata) -> Metadata:
    """Return the metadata that users of the stored resource see, without its revision. Raises ValueError."""
    annotations = dict(stored.get("annotations") or {})
    hidden = msgspec.json.decode(annotations.pop(HIDDEN, "{}"))
    shown = {"name": stored["name"], "uid": show_uid(stored["uid"]), "creationTimestamp": stored["creationTimestamp"]}
    shown |= {field: value for field, value in hidden.items() if field not in _STORED and value is not None}
    for field, base in (("labels", stored.get("labels") or {}), ("annotations", annotations)):
        if merged := {**base, **(hidden.get(field) or {})}:
            shown[field] = merged
    return shown


def show_uid(stored: str) -> str:
    """Return the uid that users see: the bits of every byte in reverse, but for those of a UUID's version and variant.

    Raises ValueError.
    """
    given = bytes.fromhex(stored.replace("-", ""))
    turned = bytearray(_REVERSED[byte] for byte in given)
    turned[6], turned[8] = given[6], given[8]
    digits = turned.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def uid(about: object) -> str | None:
    """Return the uid that users see of an object with this metadata; None where a datastore keeps none."""
    if not isinstance(about, dict) or not about.get("uid"):
        return None
    hidden = HIDDEN in (about.get("annotations") or {})
    return show_uid(about["uid"]) if hidden else str(about["uid"])


def _ours(of: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in of.items() if any(part in name for part in _OURS)}


def _sorted(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value
