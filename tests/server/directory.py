"""A directory of our own on loopback: it publishes its signing keys, and tests sign tokens with them."""

from __future__ import annotations

import http.server
import json
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.plan.clouds import some_uuid
from tests.server.live import Live, serve

from unipam.server.entra import Directory

TENANT, CLIENT = some_uuid(1), some_uuid(2)
OLD, FOREIGN = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class Entra:
    """A directory that publishes its signing keys on loopback."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"old": OLD}
        self.more: list[Any] = []
        """Rows that are published besides, whatever they are."""
        self.asked = 0
        entra = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.0"

            def do_GET(self) -> None:
                entra.asked += 1
                rows = [
                    {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid}
                    for kid, key in entra.keys.items()
                ]
                body = json.dumps({"keys": [*entra.more, *rows]}).encode()
                found = self.path == f"/{TENANT}/discovery/v2.0/keys"
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def app_token(self, **claims: Any) -> str:
        """What an application gets for itself, on nobody's behalf."""
        return self.token(preferred_username=None, scp=None, **claims)

    def token(self, key: Any = OLD, kid: str | None = "old", **claims: Any) -> str:
        """A person's access token, but for what is said otherwise."""
        now = int(time.time())
        given = {
            "aud": CLIENT, "iss": f"{self.url}/{TENANT}/v2.0", "tid": TENANT, "oid": some_uuid(3), "ver": "2.0",
            "iat": now, "exp": now + 600, "preferred_username": "ann@example.org", "scp": "access_as_user", **claims,
        }  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(given, key, algorithm="RS256", headers={} if kid is None else {"kid": kid})


def signing_in(place: Path, entra: Entra, **more: Any) -> AbstractContextManager[Live]:
    """A register whose people sign in there."""
    directory = Directory(TENANT, CLIENT, entra.url)
    return serve(str(place / "r.db"), place, directory=directory, failures=30, **more)
