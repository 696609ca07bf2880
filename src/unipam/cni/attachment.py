"""What a call says of the attachment it is about, as every plugin keeps it: who the owner is, where the ledger lies."""

from __future__ import annotations

import os

import msgspec

from unipam.cni.call import Call
from unipam.model.errors import BadConfig
from unipam.service.reconcile import inode


def directory(call: Call, data_dir: str) -> str:
    """A data directory as the caller means it. Raises BadConfig when that cannot be told."""
    if data_dir.startswith("/"):
        return data_dir
    if not call.cwd.startswith("/"):
        raise BadConfig(f"dataDir {data_dir} is relative, and the caller's directory is gone: give an absolute path")
    return os.path.normpath(os.path.join(call.cwd, data_dir))


def arguments(call: Call) -> dict[str, str]:
    """CNI_ARGS as far as it is made of pairs."""
    return dict(pair for text in call.env.get("CNI_ARGS", "").split(";") if len(pair := text.split("=")) == 2)


def details(call: Call, **more: object) -> str:
    """Who the owner is, as far as the runtime says, and where its namespace is: for people and for the sweep."""
    given, facts = arguments(call), dict(more)
    if "K8S_POD_NAME" in given:
        facts["pod"] = f"{given.get('K8S_POD_NAMESPACE', '')}/{given['K8S_POD_NAME']}"
    if "K8S_POD_UID" in given:
        facts["uid"] = given["K8S_POD_UID"]
    facts["netns"] = call.env["CNI_NETNS"]
    seen = inode(call.env["CNI_NETNS"])
    if seen is not None:
        facts["inode"] = seen
    return msgspec.json.encode(facts).decode("utf-8", "replace")
