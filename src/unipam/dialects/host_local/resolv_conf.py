"""A resolver configuration file as the dns part of a result (spec cni-and-host-local §2.9)."""

from __future__ import annotations

from unipam.model.errors import BadConfig


def read(path: str) -> dict[str, object]:
    """nameservers, domain, search and options as the file has them. Raises BadConfig when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse(file.read())
    except IsADirectoryError:
        raise BadConfig(f"read {path}: is a directory", path=path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadConfig(f"open {path}: {reason.lower()}", path=path) from None


def parse(text: str) -> dict[str, object]:
    """The meaning of the file's text; the last domain wins, everything else adds up."""
    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    domain = ""
    for line in text.splitlines():
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
