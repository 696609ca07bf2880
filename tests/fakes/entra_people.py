"""Entra ID for people who sign in from a command: device codes, the browser's way, and refresh tokens.

It stands before the fake's Entra ID, which makes the tokens. Codes are good once; a challenge must be met; a redirect
must be to loopback, as the real one has it for public clients.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.azure_entra import Entra
from tests.fakes.azure_http import Answer, LoopbackServer, Request
from tests.fakes.certificates import Authority

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class People:
    """A directory in which `person` signs in. Until `typed`, whoever has a device code waits; `refuses` says no."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory)
        self.ca = str(authority.ca)
        self.entra = Entra()
        self.person = "ann"
        self.typed = 0
        """How many times a device code is asked for in vain before the person has typed it; below 0: never."""
        self.refuses = False
        self.lasts = 3600.0
        self.grants: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: set[str] = set()
        self._server = LoopbackServer(self._serve, authority.context())
        self.base = self.entra.base = f"https://127.0.0.1:{self._server.port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def forget(self) -> None:
        """Make every refresh token worthless."""
        self._refresh.clear()

    def _serve(self, request: Request) -> Answer:
        root = f"/{self.entra.tenant}/oauth2/v2.0"
        if request.path == f"{root}/devicecode":
            return self._device(request.form)
        if request.path == f"{root}/authorize":
            return self._authorize(request.query)
        if request.path == f"{root}/token" and "client_secret" not in request.form:
            return self._grant(request.form)
        return self.entra.serve(request) or Answer(404, {})

    def _device(self, form: dict[str, str]) -> Answer:
        if form["client_id"] != self.entra.client:
            return _denied("unauthorized_client", "AADSTS700016: Application not found in the directory.")
        code = self._code({"scope": form["scope"]})
        say = "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the code ABC."
        return Answer(200, {"device_code": code, "user_code": "ABC", "verification_uri": "https://microsoft.com/devicelogin",
                            "expires_in": 900, "interval": 0, "message": say})  # fmt: skip

    def _code(self, asked: dict[str, str]) -> str:
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return code

    def _authorize(self, query: dict[str, str]) -> Answer:
        """What the browser is sent back with, once the person has signed in."""
        assert query["client_id"] == self.entra.client
        assert query["code_challenge_method"] == "S256"
        assert urllib.parse.urlsplit(query["redirect_uri"]).hostname == "localhost"
        if self.refuses:
            back = {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
        else:
            back = {"code": self._code(query)}
        return Answer(
            302, {}, {"Location": f"{query['redirect_uri']}?{urllib.parse.urlencode(back | {'state': query['state']})}"}
        )

    def _grant(self, form: dict[str, str]) -> Answer:
        self.grants.append(form["grant_type"])
        if form["grant_type"] == "refresh_token":
            good = form["refresh_token"] in self._refresh
            return self._issued() if good else _denied("invalid_grant", "AADSTS700082: The refresh token has expired.")
        if form["grant_type"] == DEVICE:
            return self._by_device(form)
        asked = self._codes.pop(form["code"], None)
        met = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != met or asked["redirect_uri"] != form["redirect_uri"]:
            return _denied("invalid_grant", "AADSTS501481: The Code_Verifier does not match the code_challenge.")
        return self._issued()

    def _by_device(self, form: dict[str, str]) -> Answer:
        if self.refuses:
            return _denied("authorization_declined", "AADSTS70020: The user declined.")
        if self.typed:
            self.typed -= 1
            return _denied("authorization_pending", "AADSTS70016: The user has not yet entered the code.")
        asked = self._codes.pop(form["device_code"], None)
        return self._issued() if asked else _denied("bad_verification_code", "AADSTS70019: The code is unknown.")

    def _issued(self) -> Answer:
        refresh = secrets.token_urlsafe(16)
        self._refresh.add(refresh)
        body: dict[str, Any] = {"access_token": self.entra.user_token(self.person), "expires_in": self.lasts}
        return Answer(200, {**body, "token_type": "Bearer", "refresh_token": refresh})


def _denied(error: str, text: str) -> Answer:
    return Answer(400, {"error": error, "error_description": f"{text}\r\nTrace ID: 0\r\n"})


@contextmanager
def people(directory: Path) -> Iterator[People]:
    """Serve a directory while the block runs."""
    served = People(directory)
    try:
        yield served
    finally:
        served.close()
