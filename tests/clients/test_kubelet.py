"""The kubelet's client against an API server of this test's own on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from unipam.clients.kubelet import pod_ranges
from unipam.model.errors import SourceFailed

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "aks-1"}}
GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": 'nodes "aks-1" not found', "code": 404}


@contextmanager
def api_server(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """An API server that gives one answer; its address, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization', '')}")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def kubeconfig(path: Path, server: str) -> str:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": "kubelet-token"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return str(path)


def test_the_ranges_of_a_node_are_read_with_the_kubelets_credentials(tmp_path: Path) -> None:
    ranges = ["10.244.1.0/24", "fd00:1::/64"]
    body = json.dumps({**NODE, "spec": {"podCIDR": ranges[0], "podCIDRs": ranges}}).encode()
    with api_server(200, body) as (server, asked):
        assert pod_ranges(kubeconfig(tmp_path / "config", server), "aks-1") == tuple(ranges)
    assert asked == ["/api/v1/nodes/aks-1 Bearer kubelet-token"]


def test_a_node_without_ranges_has_none(tmp_path: Path) -> None:
    with api_server(200, json.dumps({**NODE, "spec": {}}).encode()) as (server, _):
        assert pod_ranges(kubeconfig(tmp_path / "config", server), "aks-1") == ()


@pytest.mark.parametrize(("status", "body"), [(404, json.dumps(GONE).encode()), (500, b"oops"), (200, b"<html>")])
def test_a_bad_answer_names_the_node_and_the_file(tmp_path: Path, status: int, body: bytes) -> None:
    with (
        api_server(status, body) as (server, _),
        pytest.raises(SourceFailed, match=r"cannot read node aks-1 with .*config"),
    ):
        pod_ranges(kubeconfig(tmp_path / "config", server), "aks-1")


@pytest.mark.parametrize("content", [None, "", "{", "clusters: 7", "current-context: none"])
def test_a_bad_kubeconfig_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config").write_text(content)
    with pytest.raises(SourceFailed, match="config"):
        pod_ranges(str(tmp_path / "config"), "aks-1")
