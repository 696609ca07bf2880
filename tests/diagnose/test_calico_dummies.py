"""The dummy ranges of a DEL are not a node's range (spec calico-ipam §2.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from unipam.diagnose import diagnose

_LINE = (
    "2024-09-11 04:17:11.{n} [INFO][6520] utils.go 344: Calico CNI passing {what} to host-local IPAM: {cidr}"
    ' ContainerID="{id}"\n'
)


@pytest.mark.parametrize(("what", "cidr"), [("podCidr", "0.0.0.0/0"), ("podCidrv6", "::/0")])
def test_a_dummy_is_a_del(tmp_path: Path, what: str, cidr: str) -> None:
    """AC-17: it is told as one, and a real range beside it is the node's."""
    lines = _LINE.format(n=643, what=what, cidr=cidr, id="a" * 64)
    lines += _LINE.format(n=808, what="podCidr", cidr="10.244.0.0/24", id="b" * 64)
    (tmp_path / "cni.log").write_text(lines)
    report = diagnose([tmp_path / "cni.log"])
    assert report.findings == []
    assert [note.kind for note in report.notes] == ["dummy-cidr"]
    facts = " ".join(fact.text for fact in report.facts)
    assert "10.244.0.0/24" in facts
    assert f"{cidr} is" not in facts
