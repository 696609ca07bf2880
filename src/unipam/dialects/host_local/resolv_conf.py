"""A resolver configuration file as the dns part of a result (spec cni-and-host-local §2.9)."""

from __future__ import annotations

import os

from unipam.model.errors import BadConfig

LARGEST = 1 << 20
"""Bytes; a file of more is not a resolver configuration."""


def read(path: str, cwd: str) -> dict[str, object]:
    """Return nameservers, domain, search and options as the file has them. Raises BadConfig when it cannot be read.

    A relative path is the caller's, who runs in `cwd`. Never waits: the path may name a pipe.
    """
    try:
        descriptor = os.open(os.path.join(cwd, path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise BadConfig(f"open {path}: {_reason(error)}", path=path) from None
    try:
        content = os.read(descriptor, LARGEST + 1)
    except OSError as error:
        raise BadConfig(f"read {path}: {_reason(error)}", path=path) from None
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise BadConfig(f"read {path}: more than {LARGEST} bytes: name a resolver configuration file", path=path)
    return parse(content.decode("utf-8", "replace"))


def _reason(error: OSError | ValueError) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or "invalid argument").lower()


def parse(text: str) -> dict[str, object]:
    """Return what the file's text means; the last domain wins, everything else adds up."""
    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    domain = ""
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) < 2 or fields[0][0] in "#;":
            continue
        match fields[0]:
            case "nameserver":
                nameservers.append(fields[1])
            case "domain":
                domain = fields[1]
            case "search":
                search += fields[1:]
            case "options":
                options += fields[1:]
    found = {"nameservers": nameservers, "domain": domain, "search": search, "options": options}
    return {key: value for key, value in found.items() if value}
