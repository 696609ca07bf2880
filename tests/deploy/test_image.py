"""The images as podman builds them, twice: equal bit by bit, and each saying what is in it.

The pinned base is at a registry, so UNIPAM_BASE_IMAGE names one that podman has: a Linux with Python 3.11 and venv.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
BASE = os.environ.get("UNIPAM_BASE_IMAGE", "")
pytestmark = [
    pytest.mark.brought,
    pytest.mark.skipif(not BASE, reason="UNIPAM_BASE_IMAGE names no image with Python 3.11 that podman has"),
]
REACHES_THE_INDEX = [
    word for path in ("/etc/pip.conf", "/etc/ssl/certs") if Path(path).exists() for word in ("-v", f"{path}:{path}:ro")
]


class Image(NamedTuple):
    """A stage of the recipe, and what its image is to have."""

    target: str
    user: str
    sbom: str
    command: str


IMAGES = [
    Image("agent", "", "usr/share/doc/unipam/sbom.cdx.json", "/usr/bin/unipam"),
    Image("register", "10001:10001", "opt/unipam/sbom.cdx.json", "/opt/unipam/bin/unipam"),
]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the recipe copies, with a wheel of this checkout."""
    context = tmp_path_factory.mktemp("context")
    shutil.copytree(ROOT / "deploy", context / "deploy")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", context / "dist"]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return context


def podman(*words: str | Path) -> str:
    done = subprocess.run(["podman", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(context: Path, target: str) -> str:
    """Build the stage from nothing; return the image's id."""
    arguments = [f"PYTHON={BASE}", "VERSION=1.2.3", "REVISION=abc"]
    said = podman(
        "build", "-q", "--no-cache", "--isolation", "chroot", "--network", "host", "--timestamp", "315619200",
        *REACHES_THE_INDEX, *(word for each in arguments for word in ("--build-arg", each)),
        "-f", context / "deploy/Dockerfile", "--target", target, context,
    )  # fmt: skip
    return said.split()[-1]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.target)
def test_two_builds_are_equal_and_say_what_they_hold(context: Path, image: Image) -> None:
    first, second = (build(context, image.target) for _ in range(2))
    assert first == second, "an image's id is the digest of all that it is"
    (found,) = json.loads(podman("image", "inspect", first))
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == "abc"
    assert found["Config"].get("User", "") == image.user
    root = Path(podman("image", "mount", first).strip())
    try:
        listed = {each["name"] for each in json.loads((root / image.sbom).read_text("utf-8"))["components"]}
        assert {"unipam", "msgspec"} <= listed
        command = ["chroot", root, image.command, "sizing", "--help"]
        assert b"Usage: unipam sizing" in subprocess.run(command, capture_output=True, check=True).stdout
    finally:
        podman("image", "umount", first)
