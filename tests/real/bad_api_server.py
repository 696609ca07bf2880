"""A genuine API server behind one that has bad days: it is overloaded, slow, forgetful, and somebody else is faster."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from tests.clients.fake_api_server import serving, status
from tests.real.kube_apiserver import ApiServer

_PASSED_ON = ("Content-Type", "Accept")


class BadApiServer:
    """Passes everything on, unless it says otherwise: that is counted in `said`. With `bad` False it behaves."""

    def __init__(self, directory: Path, server: ApiServer) -> None:
        self.bad = True
        self.said: Counter[str] = Counter()
        self.kubeconfig = directory / "bad-kubeconfig"
        self.server = server
        known = yaml.safe_load(server.kubeconfig.read_text())
        self.token = known["users"][0]["user"]["token"]
        self.trust = ssl.create_default_context(cafile=known["clusters"][0]["cluster"]["certificate-authority"])
        self._dice = random.Random(0)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"bad": self}))
        self.http.daemon_threads = True
        known["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self.http.server_port}"}
        self.kubeconfig.write_text(yaml.safe_dump(known))

    def fault(self, method: str, target: str) -> str:
        """What goes wrong with a request; empty for nothing."""
        if not self.bad or "/leases" in target:  # who leads is another test's matter
            return ""
        kinds = ["429", "500", "slow", "cut"] + (["410"] if "watch=1" in target else [])
        kinds += ["409"] * 3 if method in {"PUT", "DELETE"} else []
        return self._dice.choice(kinds) if self._dice.random() < 0.5 else ""


class _Handler(BaseHTTPRequestHandler):
    bad: BadApiServer

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.bad.fault(self.command, self.path)
        self.bad.said[fault] += 1
        if fault == "slow":
            time.sleep(1.0)
        elif fault == "cut":  # whatever it was is done, and nobody hears of it
            self._pass_on(body, until=0.0)
            return
        elif fault:
            self._refuse(int(fault))
            return
        self._pass_on(body, until=1.0 if self.bad.bad else 3600.0)

    def _refuse(self, code: int) -> None:
        reason = {409: "Conflict", 410: "Expired", 429: "TooManyRequests"}.get(code, "InternalError")
        encoded = json.dumps(status(code, reason, "a bad day").document).encode()
        self.send_response(code)
        if code == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def _pass_on(self, body: bytes, until: float) -> None:
        """Hand the answer on as it comes, for so many seconds; what comes later is cut off."""
        ends = time.monotonic() + until
        there = http.client.HTTPSConnection("127.0.0.1", self.bad.server.port, timeout=5.0, context=self.bad.trust)
        headers = {name: self.headers[name] for name in _PASSED_ON if self.headers[name]}
        with suppress(OSError, http.client.HTTPException):
            there.request(self.command, self.path, body, {**headers, "Authorization": f"Bearer {self.bad.token}"})
            answer = there.getresponse()
            if until:
                self.send_response(answer.status)
                self.send_header("Connection", "close")
                self.end_headers()
            while until and time.monotonic() < ends and (part := answer.read1(65536)):
                self.wfile.write(part)
        there.close()
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def bad_api_server(directory: Path, server: ApiServer) -> Iterator[BadApiServer]:
    """Runs until the block is left."""
    made = BadApiServer(directory, server)
    with serving(made.http):
        yield made
