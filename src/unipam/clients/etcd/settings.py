"""How an etcd cluster is reached."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from unipam.model.errors import BadValue


class Tls(NamedTuple):
    """PEM documents: the authorities to trust (the system's where empty), and the client's certificate with its key."""

    authorities: bytes = b""
    certificate: bytes = b""
    key: bytes = b""

    @classmethod
    def read(cls, authorities: str = "", certificate: str = "", key: str = "") -> Tls:
        """Read keys and certificates from files; an empty path is none. Raises BadValue when one cannot be read."""
        return cls(*(_content(path) if path else b"" for path in (authorities, certificate, key)))


class Settings(NamedTuple):
    """The endpoints (`http://host:port`, `https://…`) of one cluster's members, and what to show them."""

    endpoints: tuple[str, ...]
    tls: Tls = Tls()
    user: str = ""
    password: str = ""


def addresses(endpoints: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Return `host:port` of each endpoint, and whether it is spoken to over TLS. Raises BadValue."""
    if not endpoints:
        raise BadValue("no etcd endpoint is given: name at least one, like https://10.0.0.1:2379", field="endpoints")
    return tuple(_address(each) for each in endpoints)


def _address(endpoint: str) -> tuple[str, bool]:
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port = parts.port or 2379
    except ValueError:
        raise _bad(endpoint) from None
    if not parts.hostname or parts.scheme not in {"", "http", "https"}:
        raise _bad(endpoint)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}", parts.scheme == "https"


def _bad(endpoint: str) -> BadValue:
    message = f"{endpoint!r} is not an etcd endpoint: write it like https://10.0.0.1:2379"
    return BadValue(message, field="endpoints", value=endpoint)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadValue(f"cannot read {path}: {error.strerror}", field="tls", value=path) from error
