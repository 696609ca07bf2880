"""Where an API server is and what to show it: from a kubeconfig file, a pod's service account, or as it is named."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from unipam.model.errors import BadValue

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the kubelet puts a pod's token and the authority of the API server."""


class Access(NamedTuple):
    """An API server, how to trust it, and what to show it: a token, or a certificate that is in `tls`."""

    server: SplitResult
    tls: ssl.SSLContext | None
    token: str = ""
    name: str = ""


class Server(NamedTuple):
    """Which API server, and how to be known there, as somebody names it.

    What stands beside a kubeconfig goes before what the kubeconfig says. Nothing at all is the server of the pod that
    this is; an `address` alone is a server to which the files and the token are shown.
    """

    kubeconfig: str = ""
    context: str = ""
    address: str = ""
    token: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False


def read(server: Server) -> Access:
    """Read the access to a server. Raises BadValue when it cannot be read, or does not say what it must."""
    if server.kubeconfig:
        return _overridden(_from_file(server.kubeconfig, server.context), server)
    return _explicit(server) if server.address else in_cluster()


def _overridden(found: Access, server: Server) -> Access:
    if server.token:
        found = found._replace(token=server.token)
    if not server.address:
        return found
    address = urlsplit(server.address)
    tls = found.tls or ssl.create_default_context() if address.scheme == "https" else None
    return found._replace(server=address, tls=tls, name=f"{address.netloc} ({server.kubeconfig})")


def _explicit(server: Server) -> Access:
    address = urlsplit(server.address)
    if address.scheme not in {"http", "https"} or not address.netloc:
        raise _bad(server.address, "write the address of the API server like https://10.0.0.1:6443")
    cluster = {"certificate-authority": server.ca_file, "insecure-skip-tls-verify": server.insecure}
    user = {"client-certificate": server.cert_file, "client-key": server.key_file}
    tls = _context(cluster, user, "/") if address.scheme == "https" else None
    return Access(address, tls, server.token, address.netloc)


def in_cluster() -> Access:
    """Return the access that every pod has. Raises BadValue outside of one."""
    account = SERVICE_ACCOUNT
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise _bad(account, "this is no pod (KUBERNETES_SERVICE_HOST is not set), and no kubeconfig is named")
    server = urlsplit(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")
    token = _text(f"{account}/token").strip()
    return Access(server, _context({"certificate-authority": f"{account}/ca.crt"}, {}, account), token, server.netloc)


def _from_file(path: str, chosen: str) -> Access:
    import yaml

    try:
        document = yaml.load(_text(path), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (safe both)
        context = _entry(document, "contexts", "context", chosen or document["current-context"])
        cluster = _entry(document, "clusters", "cluster", context["cluster"])
        user = _entry(document, "users", "user", context["user"]) if context.get("user") else {}
        server = urlsplit(cluster["server"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise _bad(path, f"it is no kubeconfig ({type(error).__name__}: {error})") from error
    shown = _of_plugin(user["exec"], path) if "exec" in user else user
    beside = os.path.dirname(path)
    tls = _context(cluster, shown, beside) if server.scheme == "https" else None
    return Access(server, tls, _token(shown, beside), f"{server.netloc} ({path})")


def _of_plugin(described: dict[str, Any], path: str) -> dict[str, Any]:
    from unipam.clients.kubernetes import plugin

    return plugin.run(described, path)


def _entry(document: dict[str, Any], several: str, one: str, name: str) -> dict[str, Any]:
    for each in document[several]:
        if each["name"] == name:
            return dict(each[one] or {})
    raise ValueError(f"among its {several} is no {name!r}")


def _token(user: dict[str, Any], beside: str) -> str:
    if "tokenFile" in user:
        return _text(os.path.join(beside, user["tokenFile"])).strip()
    return str(user.get("token", ""))


def _context(cluster: dict[str, Any], user: dict[str, Any], beside: str) -> ssl.SSLContext:
    authority = _pem(cluster, "certificate-authority", beside)
    try:
        context = ssl.create_default_context(cadata=authority or None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _show(context, _pem(user, "client-certificate", beside), _pem(user, "client-key", beside))
    except ssl.SSLError as error:
        raise _bad(beside, f"its certificates cannot be used: {error}") from error
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a client's certificate, which the library takes from a file only."""
    if certificate:
        import tempfile

        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{certificate}\n{key}")
            file.flush()
            context.load_cert_chain(file.name)


def _pem(section: dict[str, Any], name: str, beside: str) -> str:
    """Return a PEM document that is given as a file or within the kubeconfig; empty where it is not."""
    if encoded := section.get(f"{name}-data"):
        try:
            return base64.b64decode(encoded).decode()
        except (binascii.Error, ValueError) as error:
            raise _bad(beside, f"its {name}-data is not base64 of a PEM document") from error
    return _text(os.path.join(beside, section[name])) if section.get(name) else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"it cannot be read ({error})") from error


def _bad(where: str, why: str) -> BadValue:
    return BadValue(f"no access to Kubernetes by {where}: {why}", field="kubeconfig", value=where)
