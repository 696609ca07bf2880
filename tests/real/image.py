"""A container image out of the machine's own busybox, made with the standard library."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
COMMANDS = ("sh", "sleep", "ip", "ping", "true")
SLEEP = ("/bin/sleep", "100000")


def _tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return stream.getvalue()


def layer() -> bytes:
    """The image's only layer as a tar archive: busybox and links to it."""
    return _tar({"bin/busybox": BUSYBOX.read_bytes()}, {f"bin/{name}": "busybox" for name in COMMANDS})


def archive(tag: str) -> bytes:
    """The image as `docker save` would write it. Its entry point sleeps."""
    content = layer()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": list(SLEEP)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    documents = {"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(config).encode()}
    return _tar({"layer.tar": content, **documents})
