"""A KubeControllersConfiguration as far as garbage goes: how long a leak is waited for (spec calico-ipam §3.5)."""

from __future__ import annotations

import re
from typing import Any

from unipam.dialects.calico.documents.fields import broken

UNASKED = 900.0
"""Seconds that Calico's kube-controllers write there by themselves: nobody's choice."""

_PART = re.compile(r"([0-9]*\.?[0-9]+)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def leak_grace(document: dict[str, Any]) -> float | None:
    """Return what somebody has chosen as `leakGracePeriod`, in seconds; None where nobody has. Raises Unreadable."""
    found = ((document.get("spec") or {}).get("controllers") or {}).get("node") or {}
    text = found.get("leakGracePeriod")
    if text is None:
        return None
    seconds = _seconds(str(text))
    return None if seconds == UNASKED else seconds


def _seconds(text: str) -> float:
    """Return what Go's time.ParseDuration makes of a text that is not negative."""
    parts = _PART.findall(text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        problem = f"leakGracePeriod is {text!r}, which is no duration"
        raise broken("a KubeControllersConfiguration", problem, "leakGracePeriod")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
