"""What a call says of the attachment it is about, as every plugin keeps it: who the owner is, where the ledger lies."""

from __future__ import annotations

import os

import msgspec

from unipam.cni.call import Call
from unipam.cni.protocol import split_args
from unipam.model.errors import BadConfig


def directory(call: Call, data_dir: str) -> str:
    """A data directory as the caller means it. Raises BadConfig when that cannot be told."""
    if "\0" in data_dir:
        raise BadConfig("dataDir holds a NUL character, which no path can: give another")
    if data_dir.startswith("/"):
        return data_dir
    if not call.cwd.startswith("/"):
        raise BadConfig(f"dataDir {data_dir} is relative, and the caller's directory is gone: give an absolute path")
    return os.path.normpath(os.path.join(call.cwd, data_dir))


def arguments(call: Call) -> dict[str, str]:
    """CNI_ARGS as far as it is made of pairs."""
    return {pair[0]: pair[1] for pair in split_args(call.env.get("CNI_ARGS", "")) if len(pair) == 2}


def pod(given: dict[str, str]) -> str:
    """The pod that arguments name, as namespace and name; empty where they name none."""
    return f"{given.get('K8S_POD_NAMESPACE', '')}/{given['K8S_POD_NAME']}" if "K8S_POD_NAME" in given else ""


def details(call: Call, inode: int | None, **more: object) -> str:
    """Who the owner is, as far as the runtime says, and where its namespace is: for people and for the sweep.

    `inode` is that of the namespace, if there is one; `more` are facts of the plugin's own.
    """
    given, facts = arguments(call), more
    if name := pod(given):
        facts["pod"] = name
    if "K8S_POD_UID" in given:
        facts["uid"] = given["K8S_POD_UID"]
    if given.get("K8S_POD_INFRA_CONTAINER_ID") == call.env["CNI_CONTAINERID"]:
        facts["sandbox"] = float(call.asked)  # only CRI runtimes say so; whether it is still made is a matter of time
    facts["netns"] = call.env["CNI_NETNS"]
    if inode is not None:
        facts["inode"] = inode
    return msgspec.json.encode(facts).decode("utf-8", "replace")
