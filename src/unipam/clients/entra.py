"""Signing a person in with Entra ID, as a public client (RFC 6749, 7636, 8628): by device code, or through the browser.

Here: the flows over HTTP. Not here: where tokens are kept, and who asks the person (`cli.login`).
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from unipam.model.errors import BadInput, NotSignedIn, Unavailable

_TIMEOUT = 30.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_STRANGE = "whoever answers at the authority is not Entra ID: see --authority"
_PATIENCE = 300.0
"""Seconds that a person has to come back from the browser."""


class Application(NamedTuple):
    """The application that people sign in to, in its tenant."""

    tenant: str
    client: str
    authority: str = "https://login.microsoftonline.com"

    @property
    def scope(self) -> str:
        """Return what a token is asked for: the register's API, and another token when this one is over."""
        return f"api://{self.client}/access_as_user openid profile offline_access"

    def url(self, end: str) -> str:
        """Return an endpoint of the tenant. Raises BadInput for an authority that is no address of the web."""
        if not self.authority.startswith(("https://", "http://")):
            raise BadInput(f"--authority: {self.authority} must begin with https://")
        return f"{self.authority.rstrip('/')}/{self.tenant}/oauth2/v2.0/{end}"


class Tokens(NamedTuple):
    """What a sign-in gives: a token, until when it is good (epoch seconds), and what gets the next one."""

    access: str
    expires_on: float
    refresh: str = ""


class DeviceCode(NamedTuple):
    """What a person types at which address, and what waits for that."""

    message: str
    code: str
    interval: float
    expires_on: float


def begin_device(application: Application) -> DeviceCode:
    """Ask for a code for a person to type. Raises NotSignedIn or Unavailable."""
    asked = {"client_id": application.client, "scope": application.scope}
    status, found = _post(application.url("devicecode"), asked)
    if status != 200:
        raise _refused(found)
    try:
        ends = time.time() + float(found["expires_in"])
        return DeviceCode(str(found["message"]), found["device_code"], float(found.get("interval", 5)), ends)
    except (KeyError, TypeError, ValueError):
        raise NotSignedIn(_STRANGE) from None


def finish_device(application: Application, device: DeviceCode, rest: Callable[[float], object] = time.sleep) -> Tokens:
    """Wait until the person has typed the code. Raises NotSignedIn when they refuse, or take too long."""
    asked = {"grant_type": _DEVICE_GRANT, "client_id": application.client, "device_code": device.code}
    interval = device.interval
    while time.time() < device.expires_on:
        rest(interval)
        status, found = _post(application.url("token"), asked)
        if status == 200:
            return _tokens(found)
        if found.get("error") == "slow_down":
            interval += 5
        elif found.get("error") != "authorization_pending":
            raise _refused(found)
    raise NotSignedIn("the code was not typed in time: sign in anew")


def refresh(application: Application, token: str) -> Tokens:
    """Return new tokens for a refresh token. Raises NotSignedIn when it is worth nothing any more, Unavailable."""
    asked = {"grant_type": "refresh_token", "client_id": application.client, "refresh_token": token,
             "scope": application.scope}  # fmt: skip
    status, found = _post(application.url("token"), asked)
    if status != 200:
        raise _refused(found)
    tokens = _tokens(found)
    return tokens._replace(refresh=tokens.refresh or token)


def sign_in_by_browser(application: Application, show: Callable[[str], object]) -> Tokens:
    """Let a person sign in at an address that `show` opens, and come back to this machine. Raises NotSignedIn."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with _Landing(state) as landing:
        redirect = f"http://localhost:{landing.server_port}"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"client_id": application.client, "response_type": "code", "redirect_uri": redirect, "state": state,
                 "scope": application.scope, "code_challenge": challenge, "code_challenge_method": "S256"}  # fmt: skip
        show(f"{application.url('authorize')}?{urllib.parse.urlencode(asked)}")
        code = landing.wait()
    given = {"grant_type": "authorization_code", "client_id": application.client, "code": code,
             "redirect_uri": redirect, "code_verifier": verifier}  # fmt: skip
    status, found = _post(application.url("token"), given)
    if status != 200:
        raise _refused(found)
    return _tokens(found)


class _Landing(http.server.HTTPServer):
    """Where the browser comes back to, on loopback: the first request with our state ends the wait."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.state = state
        self.answer: Mapping[str, str] | None = None

    def wait(self) -> str:
        """Return the code that the browser brings. Raises NotSignedIn when it brings a refusal, or does not come."""
        deadline = time.monotonic() + _PATIENCE
        while self.answer is None and (left := deadline - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
        if self.answer is None:
            raise NotSignedIn("nobody came back from the browser: use --device-code where there is none")
        if "code" not in self.answer:
            raise _refused(self.answer)
        return self.answer["code"]


class _Visit(http.server.BaseHTTPRequestHandler):
    server: _Landing

    def do_GET(self) -> None:
        """Take what the browser brings; of whoever has not our state nothing is taken."""
        brought = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        known = secrets.compare_digest(brought.get("state", ""), self.server.state)
        if known:
            self.server.answer = brought
        text = b"You may close this window." if known else b"This is not the sign-in that was begun here."
        self.send_response(200 if known else 400)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Write nothing: the address has the code in it."""


def _post(url: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode())  # noqa: S310 (checked by `url`)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            return answer.status, _object(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _object(error.read())
    except OSError as error:
        raise Unavailable(f"no answer from {url}: {getattr(error, 'reason', error)}") from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _tokens(found: Mapping[str, Any]) -> Tokens:
    try:
        return Tokens(found["access_token"], time.time() + float(found["expires_in"]), found.get("refresh_token", ""))
    except (KeyError, TypeError, ValueError):
        raise NotSignedIn(_STRANGE) from None


def _refused(found: Mapping[str, Any]) -> NotSignedIn:
    why = str(found.get("error_description") or found.get("error") or "no reason given")
    return NotSignedIn(f"Entra ID refused to sign in: {why.splitlines()[0]}")
