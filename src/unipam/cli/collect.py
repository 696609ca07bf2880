"""Collecting what `unipam diagnose --node` would read on a node, from afar: through a debug pod, with kubectl.

The pod uses the host's network, for a node whose pods get no addresses is the very case, and mounts the host's files
read-only. It is deleted at the end, and ends by itself after ten minutes.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from unipam.diagnose.node import NODE_PLACES, UNITS

IMAGE = "busybox:stable"
NAMESPACE = "kube-system"
_SECONDS = 600
_ENTER = ("chroot", "/host")


class CollectionFailed(Exception):
    """kubectl refused: its own words, and what was asked of it."""


def collect(node: str, directory: Path, image: str = IMAGE) -> None:
    """Write what the node keeps into *directory*: its files below their own paths, and what the cluster says of it.

    Raises `CollectionFailed` when there is no kubectl, no such node, or the pod does not start.
    """
    _from_the_cluster(node, directory)
    with _pod(node, image) as pod:
        _files(pod, directory)
        units = [word for unit in UNITS for word in ("-u", unit)]
        _keep(directory / "journal.log", *_exec(pod, "journalctl", "--no-pager", "-q", "-o", "short-iso", "-b", *units))
        _keep(directory / "crictl-pods.json", *_exec(pod, "crictl", "pods", "-o", "json"))


def _from_the_cluster(node: str, directory: Path) -> None:
    """Collect the node, its pods and events, and what systems keep for it; a kind that is not there is left out."""
    here = f"spec.nodeName={node}"
    (directory / "node.json").write_bytes(_kubectl("get", "node", node, "-o", "json"))
    _keep(directory / "pods.json", "get", "pods", "-A", "-o", "json", "--field-selector", here)
    _keep(directory / "events.json", "get", "events", "-A", "-o", "json", "--field-selector", "type=Warning")
    for kind in ("nodenetworkconfigs.acn.azure.com", "ciliumnodes.cilium.io"):
        _keep(directory / f"{kind}.yaml", "get", kind, "-A", "-o", "yaml", "--field-selector", f"metadata.name={node}")


def _files(pod: str, directory: Path) -> None:
    """Collect the places of `NODE_PLACES`, packed on the node and unpacked here."""
    places = " ".join(NODE_PLACES)
    packed = _kubectl(*_exec(pod, "sh", "-c", f"tar czhf - $(ls -d {places} 2>/dev/null) 2>/dev/null; true"))
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                _unpack(archive, member, directory)
    except tarfile.TarError as error:
        raise CollectionFailed(f"what the node sent cannot be unpacked: {error}") from None


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Write a plain file below the directory, and nothing anywhere else: the node need not be trusted."""
    path = directory / member.name.lstrip("/")
    content = archive.extractfile(member) if member.isfile() and ".." not in path.parts else None
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())


def _exec(pod: str, *words: str) -> tuple[str, ...]:
    return ("exec", "-n", NAMESPACE, pod, "--", *_ENTER, *words)


@contextlib.contextmanager
def _pod(node: str, image: str) -> Iterator[str]:
    name = f"unipam-diagnose-{uuid.uuid4().hex[:8]}"
    _kubectl("apply", "-f", "-", sent=json.dumps(_manifest(name, node, image)).encode())
    try:
        _kubectl("wait", "-n", NAMESPACE, f"pod/{name}", "--for=condition=Ready", "--timeout=120s")
        yield name
    finally:
        _kubectl("delete", "-n", NAMESPACE, "pod", name, "--wait=false", "--ignore-not-found")


def _manifest(name: str, node: str, image: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "unipam-diagnose"}},
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _SECONDS,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
            "containers": [
                {
                    "name": "collect",
                    "image": image,
                    "command": ["sleep", str(_SECONDS)],
                    "volumeMounts": [{"name": "host", "mountPath": "/host", "readOnly": True}],
                }
            ],
        },
    }


def _keep(path: Path, *words: str) -> None:
    """Write what kubectl prints to a file; what it refuses to print is no reason to give up."""
    with contextlib.suppress(CollectionFailed):
        path.write_bytes(_kubectl(*words))


def _program() -> str:
    program = shutil.which("kubectl")
    if program is None:
        raise CollectionFailed("there is no kubectl on the PATH")
    return program


def _kubectl(*words: str, sent: bytes = b"") -> bytes:
    try:
        done = subprocess.run([_program(), *words], input=sent, capture_output=True, check=False)
    except OSError as error:
        raise CollectionFailed(f"kubectl cannot be run: {error.strerror}") from None
    if done.returncode:
        raise CollectionFailed(f"kubectl {' '.join(words[:4])}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
