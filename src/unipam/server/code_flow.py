"""Signing in with Entra ID in a browser: the authorization code flow with PKCE, this server being the client.

The flow itself is msal's: state, nonce, code verifier, the check of the ID token. What a person then may do is decided
by the access token for this register's API, which is verified as if it had been sent to the API (`server.entra`).
Everything here waits for the network, so it is called in threads.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from unipam.model.errors import NotSignedIn, SourceFailed
from unipam.server.entra import Directory

SCOPE = "access_as_user"
"""What the register's application offers, as its guide to registration says (docs/register.md)."""
_TIMEOUT = 10.0
_MICROSOFT = ("login.microsoftonline.com", "login.microsoftonline.us", "login.chinacloudapi.cn")


class Tokens(msgspec.Struct, frozen=True):
    """What a person's sign-in gave: an access token for the register, and what renews it."""

    access: str
    refresh: str = ""


class Proof(NamedTuple):
    """How the register proves to be the application: by a secret, or by a federated token, read anew at each use."""

    secret: str = ""
    token_file: str = ""

    def credential(self) -> str | dict[str, Callable[[], str]]:
        """Return it as msal takes it."""
        if self.secret:
            return self.secret
        return {"client_assertion": lambda: Path(self.token_file).read_text("utf-8").strip()}


def _forgetful() -> Any:
    """Return a cache that keeps nothing: tokens belong to their sessions, and no process has them beside that."""
    import msal

    class Forgetful(msal.TokenCache):  # type: ignore[misc]
        def add(self, event: Any, now: Any = None) -> None:
            pass

    return Forgetful()


def _client(ca_file: str) -> Any:
    """Return what msal speaks HTTP with: it waits not for ever, and trusts `ca_file` whatever the environment names."""
    import requests

    class Client(requests.Session):
        def request(self, *args: Any, **given: Any) -> requests.Response:
            given.setdefault("timeout", _TIMEOUT)
            if ca_file:
                given["verify"] = ca_file
            return super().request(*args, **given)

    return Client()


class CodeFlow:
    """The register as a client of its directory."""

    def __init__(self, directory: Directory, proof: Proof) -> None:
        self._directory = directory
        self._proof = proof
        self._lock = threading.Lock()
        self._made: Any = None

    def begin(self, redirect: str) -> dict[str, Any]:
        """Return a flow, as plain values; the browser is sent to its `auth_uri`. Raises SourceFailed."""
        begun: dict[str, Any] = self._asked(
            lambda app: app.initiate_auth_code_flow(self._scopes, redirect_uri=redirect)
        )
        return begun

    def finish(self, flow: Mapping[str, Any], answered: Mapping[str, str]) -> Tokens:
        """Exchange the code that came back for tokens. Raises NotSignedIn, SourceFailed."""
        found = self._asked(lambda app: app.acquire_token_by_auth_code_flow(dict(flow), dict(answered), self._scopes))
        return _tokens(found)

    def renew(self, refresh: str) -> Tokens:
        """Return fresh tokens. Raises NotSignedIn when the directory gives none any more, SourceFailed."""
        return _tokens(self._asked(lambda app: app.acquire_token_by_refresh_token(refresh, self._scopes)))

    @property
    def _scopes(self) -> list[str]:
        return [f"api://{self._directory.client}/{SCOPE}"]

    def _asked(self, work: Callable[[Any], Any]) -> Any:
        """Do something with msal's application. Its ValueError says that an answer belongs to no flow of ours."""
        import requests  # msal's own: nobody else here speaks to the network by it

        try:
            return work(self._application())
        except (requests.RequestException, OSError) as error:
            raise SourceFailed(f"Entra ID cannot be asked now: {type(error).__name__}", source="entra") from error
        except (ValueError, RuntimeError, KeyError) as error:
            raise NotSignedIn("This sign-in was not begun here, or is over: sign in again.") from error

    def _application(self) -> Any:
        """Return msal's application, made at the first use: to make it asks the directory for its addresses."""
        import msal

        with self._lock:
            if self._made is None:
                # It recommends that the answer come as a form: from another site, so without our cookie (SameSite=Lax).
                warnings.filterwarnings("ignore", message="response_mode=", module="msal")
                authority = f"{self._directory.authority}/{self._directory.tenant}"
                known = self._directory.authority.removeprefix("https://") in _MICROSOFT
                self._made = msal.ConfidentialClientApplication(
                    self._directory.client, client_credential=self._proof.credential(), authority=authority,
                    instance_discovery=None if known else False, http_client=_client(self._directory.ca_file),
                    token_cache=_forgetful(),
                )  # fmt: skip
            return self._made


def _tokens(found: Mapping[str, Any]) -> Tokens:
    if "access_token" not in found:
        told = str(found.get("error_description") or found.get("error") or "no token")[:300]
        raise NotSignedIn(f"Entra ID refused: {told.splitlines()[0]}")
    return Tokens(str(found["access_token"]), str(found.get("refresh_token", "")))
