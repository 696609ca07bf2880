"""A genuine kube-apiserver for the tests, on loopback with an etcd of its own, gone at the end.

No package has it. `UNIPAM_KUBE_APISERVER` names the executable, of 1.20 or newer; what .ci/run had built is found.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.real import etcd
from tests.real.calico_crds import ANY, definitions

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.model.errors import BadValue, SourceFailed

_BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unipam-test" / "kube-apiserver"
BINARY = os.environ.get("UNIPAM_KUBE_APISERVER") or shutil.which("kube-apiserver") or str(_BUILT)
WHY = (
    ""
    if os.path.exists(BINARY) and shutil.which("etcd")
    else "needs a kube-apiserver (UNIPAM_KUBE_APISERVER) and the Debian package etcd-server"
)
_TOKEN = "a-token-of-the-tests"
ACCOUNT = "system:serviceaccount:unipam-controller:unipam-controller"
ACCOUNT_TOKEN = "the-token-of-an-account"
"""Who the controllers are where deploy/ has them run, for a server that asks who may do what."""
_STARTS_WITHIN = 90.0
ALLOW = ("--authorization-mode", "AlwaysAllow")
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class ApiServer:
    """One process on an etcd of its own. Either can be killed and started again. `group` holds Calico's resources."""

    def __init__(self, directory: Path, stored: etcd.Cluster, group: str, options: Sequence[str] = ALLOW) -> None:
        self.directory, self.stored, self.group, self._options = directory, stored, group, options
        self._endpoints = ",".join(stored.endpoints)
        (self.port,) = etcd.free_ports(1)
        self.kubeconfig = directory / "kubeconfig"
        self.process: subprocess.Popen[bytes] | None = None
        tokens = f'{_TOKEN},tester,1,"system:masters"\n{ACCOUNT_TOKEN},{ACCOUNT},2,"system:authenticated"\n'
        (directory / "tokens").write_text(tokens)
        self._key = directory / "service-account.key"
        self._key.write_bytes(_private_key())
        write_kubeconfig(self.kubeconfig, self.port, directory / "certs" / "apiserver.crt", _TOKEN)

    def start(self) -> None:
        """Run it, and wait until it serves Calico's resources."""
        self.run()
        with contextlib.closing(self._connect()) as api:
            for definition in definitions(self.group):
                _ensure(api, definition)
        self.await_serving()

    def await_serving(self) -> None:
        """Wait until it serves Calico's resources: until it has read their definitions, it answers 404."""
        with contextlib.closing(self._connect()) as api:
            for definition in definitions(self.group):
                _await(api, f"/apis/{self.group}/{definition['spec']['names']['plural']}")

    def run(self) -> None:
        """Start the process."""
        command = [
            BINARY, "--etcd-servers", self._endpoints, "--bind-address", "127.0.0.1", "--secure-port", str(self.port),
            "--cert-dir", str(self.directory / "certs"), "--token-auth-file", str(self.directory / "tokens"),
            "--service-cluster-ip-range", "10.96.0.0/24",
            "--service-account-issuer", "https://unipam.test", "--service-account-key-file", str(self._key),
            "--service-account-signing-key-file", str(self._key), "--endpoint-reconciler-type", "none",
            "--disable-admission-plugins", "ServiceAccount", *self._options,
        ]  # fmt: skip
        with (self.directory / "apiserver.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _connect(self) -> KubernetesApi:
        """A client, as soon as the server has made its certificate and answers."""
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            with contextlib.suppress(BadValue, SourceFailed, Refusal):
                api = KubernetesApi(str(self.kubeconfig))
                api.get("/apis/apiextensions.k8s.io/v1", etcd.soon(2))
                return api
            assert self.process is not None
            assert self.process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.1)

    def _log(self) -> str:
        return (self.directory / "apiserver.log").read_text()[-4000:]


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def write_kubeconfig(path: Path, port: int, authority: Path, token: str) -> None:
    """A kubeconfig for a server on loopback."""
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{
            "name": "here",
            "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority)},
        }],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "here", "user": "me"}}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))


def _ensure(api: KubernetesApi, definition: dict[str, object]) -> None:
    try:
        api.create(_CRDS, definition, etcd.soon())
    except Refusal as error:
        if error.reason != "AlreadyExists":
            raise


def _await(api: KubernetesApi, path: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            api.get(path, etcd.soon(), limit="1")
        except (Refusal, SourceFailed):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def lenient(api: KubernetesApi, group: str, plural: str) -> Iterator[None]:
    """Take away what a definition demands of a spec, and give it back."""
    path = f"{_CRDS}/{plural}.{group.split('/', maxsplit=1)[0]}"
    before = api.get(path, etcd.soon())["spec"]["versions"]
    relaxed = copy.deepcopy(before)
    relaxed[0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = ANY
    api.merge(path, {"spec": {"versions": relaxed}}, etcd.soon())
    time.sleep(1.0)  # a definition is in force some time after it was written, and nothing says when
    yield
    api.merge(path, {"spec": {"versions": before}}, etcd.soon())


def empty(api: KubernetesApi, group: str) -> None:
    """Remove every object of Calico's, and every node."""
    for definition in definitions(group):
        api.delete(f"/apis/{group}/{definition['spec']['names']['plural']}", {}, etcd.soon())
    api.delete("/api/v1/nodes", {}, etcd.soon())


@contextlib.contextmanager
def api_server(group: str, options: Sequence[str] = ALLOW) -> Iterator[ApiServer]:
    """A server of one's own, with an etcd of its own and `options` beside the usual. Skips where there is none."""
    if WHY:
        pytest.skip(WHY)
    with etcd.cluster() as stored:
        directory = Path(tempfile.mkdtemp(prefix="unipam-kube-"))
        made = ApiServer(directory, stored, group, options)
        try:
            made.start()
            with contextlib.closing(KubernetesApi(str(made.kubeconfig))) as api:
                await_namespace(api)
            yield made
        finally:
            made.kill()
            shutil.rmtree(directory)


def requests(server: ApiServer, media: str = "") -> int:
    """How many requests about Calico's resources, nodes and namespaces it has answered, but for watches.

    With `media` only those answered in it: a server asks itself for namespaces, eight times a minute, in protobuf.
    """
    request = urllib.request.Request(
        f"https://127.0.0.1:{server.port}/metrics", headers={"Authorization": f"Bearer {_TOKEN}"}
    )
    trust = ssl.create_default_context(cafile=str(server.directory / "certs" / "apiserver.crt"))
    trust.check_hostname = False
    with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
        about = rf'(?=.*resource="(?:ip|block|node|namespace))(?=.*contentType="{media})(?!.*verb="WATCH")'
        return etcd.total(answer.read().decode(), rf"^apiserver_request_total\{{{about}.*\}} (\S+)$")


def await_namespace(api: KubernetesApi) -> None:
    """Wait for the namespace `default`, which a server makes for itself."""
    until = etcd.soon(60)
    while True:
        try:
            api.get("/api/v1/namespaces/default", until)
        except Refusal:
            time.sleep(0.1)
        else:
            return


_open = contextlib.ExitStack()


@lru_cache(maxsize=2)
def shared(group: str) -> ApiServer:
    """The server that tests share: started when first needed, gone when the tests are."""
    atexit.register(_open.close)
    return _open.enter_context(api_server(group))
