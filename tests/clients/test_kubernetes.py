"""The client of the Kubernetes API: credentials, what is tried again, deadlines."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import stat
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from tests.clients.fake_api_server import FakeApiServer, Say, fake_api_server, status
from tests.fakes.certificates import Authority

from unipam.clients.kubernetes import access
from unipam.clients.kubernetes.access import Server
from unipam.clients.kubernetes.api import KubernetesApi, Refusal, WatchEnded
from unipam.model.errors import BadValue, Expired, SourceFailed, Unanswered

BUSY = status(429, "TooManyRequests", "too many requests")
POD = {"metadata": {"name": "a", "resourceVersion": "7"}}


def soon(seconds: float = 20) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeApiServer]:
    with fake_api_server(tmp_path) as made:
        yield made


@pytest.fixture
def api(server: FakeApiServer) -> Iterator[KubernetesApi]:
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as made:
        yield made


# Requests ----------------------------------------------------------------------------------------------------


def test_numbers_are_read_whole(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers.append(Say(200, {"sequenceNumber": (1 << 63) - 1}))
    assert api.get("/x", soon(), limit="5") == {"sequenceNumber": (1 << 63) - 1}
    assert server.asked[0][:3] == ("GET", "/x?limit=5", "first")


def test_a_connection_is_kept(server: FakeApiServer, api: KubernetesApi) -> None:
    ports = set()
    verify = server.server.finish_request
    server.server.finish_request = lambda request, address: (ports.add(address[1]), verify(request, address))[1]  # type: ignore[method-assign,func-returns-value]
    for _ in range(5):
        api.get("/x", soon())
        api.create("/x", POD, soon())
    assert len(ports) == 1


@pytest.mark.parametrize("verb", ["create", "replace"])
def test_of_what_is_written_the_metadata_may_be_enough(server: FakeApiServer, api: KubernetesApi, verb: str) -> None:
    """Asked for so, with everything as the second choice; otherwise the whole object is."""
    for briefly in (False, True):
        server.answers.append(Say(200, POD))
        assert getattr(api, verb)("/x", POD, soon(), briefly=briefly) == POD
    whole = "application/json"
    assert [asked.accept for asked in server.asked] == [
        whole, f"{whole};as=PartialObjectMetadata;g=meta.k8s.io;v=v1, {whole}",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["get", "create", "replace", "merge", "delete"])
def test_a_server_that_has_too_much_to_do_is_asked_again(server: FakeApiServer, api: KubernetesApi, verb: str) -> None:
    server.answers += [BUSY, BUSY._replace(headers=(("Retry-After", "0"),)), Say(200, POD)]
    words = () if verb == "get" else (POD,)
    getattr(api, verb)("/x", *words, soon())
    assert len(server.asked) == 3


def test_a_server_that_says_when_is_not_asked_before(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers.append(BUSY._replace(headers=(("Retry-After", "30"),)))
    with pytest.raises(SourceFailed, match="too many requests"):
        api.create("/x", POD, soon(5))
    assert len(server.asked) == 1


@pytest.mark.parametrize("failure", [Say(0), status(500, "InternalError", "etcdserver: leader changed"), Say(503, {})])
def test_a_read_is_tried_again_and_a_write_is_not(server: FakeApiServer, api: KubernetesApi, failure: Say) -> None:
    server.answers += [failure, Say(200, POD)]
    assert api.get("/x", soon()) == POD
    server.answers += [failure]
    with pytest.raises(Unanswered, match="it may have been written"):
        api.create("/x", POD, soon())
    assert [asked.method for asked in server.asked] == ["GET", "GET", "POST"]


def test_what_is_too_large_was_not_written(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers += [status(500, "InternalError", "etcdserver: request is too large")]
    with pytest.raises(Refusal, match="too large"):
        api.create("/x", POD, soon())


def test_a_server_that_is_away_is_waited_for(server: FakeApiServer, api: KubernetesApi, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.write_text(server.kubeconfig.read_text().replace(str(server.server.server_port), "1"))
    began = time.monotonic()
    with contextlib.closing(KubernetesApi(str(gone))) as away, pytest.raises(SourceFailed, match="refused"):
        away.create("/x", POD, began + 0.5)
    assert time.monotonic() - began > 0.2


def test_a_refusal_has_the_server_s_words(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers.append(status(409, "Conflict", "the object has been modified", "a"))
    with pytest.raises(Refusal, match="the object has been modified") as caught:
        api.replace("/x/a", POD, soon())
    assert (caught.value.status, caught.value.reason, caught.value.about) == (409, "Conflict", "a")


def test_what_is_not_json_is_no_answer(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers.append(Say(200, [1, 2]))
    with pytest.raises(SourceFailed, match="not JSON"):
        api.get("/x", soon())


# Credentials -------------------------------------------------------------------------------------------------


def forbid(server: FakeApiServer, wanted: str) -> None:
    server._then = lambda asked: Say(200, POD) if asked.token == wanted else status(401, "Unauthorized", "Unauthorized")


def test_credentials_that_were_renewed_are_read_again(server: FakeApiServer, api: KubernetesApi) -> None:
    forbid(server, "second")
    with pytest.raises(SourceFailed, match="Unauthorized"):
        api.get("/x", soon())
    server.write_kubeconfig({"token": "second"})
    assert api.create("/x", POD, soon()) == POD
    assert [asked.token for asked in server.asked] == ["first", "first", "second"]


def test_a_token_may_stand_in_a_file(server: FakeApiServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    server.write_kubeconfig({"tokenFile": "token"})
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        api.get("/x", soon())
    assert server.asked[0].token == "from a file"


def test_a_plugin_may_give_the_token(server: FakeApiServer, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "X"}}
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}' | sed s/X/$1-$WHO/\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    described = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["given"],
        "env": [{"name": "WHO", "value": "me"}],
    }  # fmt: skip
    server.write_kubeconfig({"exec": described})
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        api.get("/x", soon())
    assert server.asked[0].token == "given-me"
    server.write_kubeconfig({"exec": {**described, "command": "false"}})
    with pytest.raises(BadValue, match="credentials plugin false failed"):
        KubernetesApi(str(server.kubeconfig))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "no kubeconfig"),
        ("{}", "KeyError: 'current-context'"),
        ("current-context: a\ncontexts: []", "among its contexts is no 'a'"),
        ("current-context: a\ncontexts: 5", "TypeError"),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: [{name: b, cluster: }]",
            "'server'",
        ),
    ],
)
def test_what_is_no_kubeconfig_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(BadValue, match=why) as caught:
        access.read(Server(str(path)))
    assert str(path) in str(caught.value)


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(BadValue, match="/no/such/file"):
        access.read(Server("/no/such/file"))


def test_outside_of_a_pod_a_kubeconfig_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(BadValue, match="this is no pod"):
        access.read(Server())


# A server as it is named ------------------------------------------------------------------------------------------


def test_a_server_by_its_address_is_shown_the_token(server: FakeApiServer) -> None:
    server.answers.append(Say(200, POD))
    with contextlib.closing(KubernetesApi(Server(address=server.url, token="mine"))) as api:
        assert api.get("/x", soon()) == POD
    assert server.asked[0].token == "mine"


def test_what_is_named_goes_before_the_kubeconfig(server: FakeApiServer, tmp_path: Path) -> None:
    """Address, token and context."""
    other = tmp_path / "other"
    document = yaml.safe_load(server.kubeconfig.read_text())
    document["clusters"].append({"name": "away", "cluster": {"server": "http://127.0.0.1:9"}})
    document["contexts"].append({"name": "away", "context": {"cluster": "away", "user": "u"}})
    other.write_text(yaml.safe_dump({**document, "current-context": "away"}))
    server.answers += [Say(200, POD)] * 3
    named = (
        Server(str(other), context="c"),
        Server(str(other), address=server.url),
        Server(str(server.kubeconfig), token="t"),
    )
    for each in named:
        with contextlib.closing(KubernetesApi(each)) as api:
            assert api.get("/x", soon()) == POD
    assert [asked.token for asked in server.asked] == ["first", "first", "t"]


@pytest.mark.parametrize("address", ["127.0.0.1:6443", "ftp://x", "https://"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(BadValue, match="write the address of the API server like https"):
        access.read(Server(address=address))


def test_a_server_by_its_address_over_tls(tmp_path: Path) -> None:
    """Its authority, and the certificate that it is shown, are files."""
    authority = Authority(tmp_path)
    with https(authority) as (port, tokens):
        shown = str(authority.server)
        files = {"ca_file": str(authority.ca), "cert_file": shown, "key_file": shown}
        server = Server(address=f"https://127.0.0.1:{port}", token="t", **files)
        with contextlib.closing(KubernetesApi(server)) as api:
            api.get("/x", soon())
    assert tokens == ["Bearer t"]


@contextlib.contextmanager
def https(authority: Authority) -> Iterator[tuple[int, list[str]]]:
    """A server with TLS that wants a client's certificate, its port, and the tokens that it was shown."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = authority.context()
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port, tokens
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_pod_has_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.ca.read_bytes())
    (tmp_path / "token").write_text("of the account\n")
    with https(authority) as (port, tokens):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        monkeypatch.setattr(access, "SERVICE_ACCOUNT", str(tmp_path))
        with contextlib.closing(KubernetesApi()) as api:
            assert api.get("/x", soon()) == {}
        assert tokens == ["Bearer of the account"]


@pytest.mark.parametrize("embedded", [True, False])
def test_certificates_are_files_or_stand_in_the_kubeconfig(tmp_path: Path, embedded: bool) -> None:
    authority = Authority(tmp_path)
    names = {
        "certificate-authority": authority.ca,
        "client-certificate": authority.server,
        "client-key": authority.server,
    }

    def shown(name: str) -> dict[str, Any]:
        if embedded:
            return {f"{name}-data": base64.b64encode(names[name].read_bytes()).decode()}
        return {name: names[name].name}

    with https(authority) as (port, _):
        document = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [
                {"name": "k", "cluster": {"server": f"https://127.0.0.1:{port}", **shown("certificate-authority")}}
            ],
            "users": [{"name": "u", "user": shown("client-certificate") | shown("client-key")}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        with contextlib.closing(KubernetesApi(str(path))) as api:
            assert api.get("/x", soon()) == {}
        del document["clusters"][0]["cluster"]["certificate-authority-data" if embedded else "certificate-authority"]  # type: ignore[index]
        path.write_text(yaml.safe_dump(document))
        with (
            contextlib.closing(KubernetesApi(str(path))) as api,
            pytest.raises(SourceFailed, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            api.get("/x", soon())


# Watches -----------------------------------------------------------------------------------------------------


def test_a_watch_begins_after_a_revision(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers.append(Say(200, [{"type": "ADDED", "object": POD}]))
    watch = api.watch("/x", "5", soon(), labelSelector="a=b")
    assert watch.take(soon()) == [{"type": "ADDED", "object": POD}]
    with pytest.raises(WatchEnded):
        watch.take(soon())
    assert "labelSelector=a%3Db&watch=1&resourceVersion=5&allowWatchBookmarks=true" in server.asked[0].target
    watch.close()


def test_a_watch_may_end_with_its_connection(server: FakeApiServer, api: KubernetesApi) -> None:
    server.answers.append(Say(200, [{"type": "ADDED", "object": POD}], (("Connection", "close"),)))
    watch = api.watch("/x", "5", soon())
    assert watch.take(soon()) == [{"type": "ADDED", "object": POD}]
    with pytest.raises(WatchEnded):
        watch.take(soon())
    watch.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(410, "Expired", "too old resource version: 5 (90)"), Expired),
        (status(403, "Forbidden", "cannot watch"), SourceFailed),
        (status(503, "ServiceUnavailable", "shutting down"), SourceFailed),
        (BUSY, SourceFailed),
        (Say(0), SourceFailed),
    ],
)
def test_a_watch_that_cannot_begin_says_why(
    server: FakeApiServer, api: KubernetesApi, answer: Say, error: type[Exception]
) -> None:
    server.answers.append(answer)
    with pytest.raises(error):
        api.watch("/x", "5", soon())


@pytest.mark.parametrize(("code", "error"), [(410, Expired), (500, SourceFailed)])
def test_a_watch_may_fail_on_its_way(
    server: FakeApiServer, api: KubernetesApi, code: int, error: type[Exception]
) -> None:
    failure = {"type": "ERROR", "object": {"code": code, "message": "too old"}}
    server.answers.append(Say(200, [{"type": "ADDED", "object": POD}, failure]))
    watch = api.watch("/x", "5", soon())
    assert len(watch.take(soon())) == 1
    with pytest.raises(error, match="too old"):
        watch.take(soon())


def test_a_watch_is_begun_with_renewed_credentials(server: FakeApiServer, api: KubernetesApi) -> None:
    forbid(server, "second")
    server.write_kubeconfig({"token": "second"})
    api.watch("/x", "5", soon()).close()
    assert [asked.token for asked in server.asked] == ["first", "second"]
