"""The fake's Entra ID: tokens for applications, machines and, on behalf, for people; and the keys to check them.

Tokens are real ones, signed with a key made at the start, so that whoever verifies has something to verify. Error
bodies are those of the token endpoint, with the AADSTS numbers that the cases have.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
import time
import urllib.parse
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.fakes.azure_http import Answer, Refused, Request

OBO_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KEY_ID = "fake-key"


class Entra:
    """One tenant with one application: `client`, that signs in with `secret` or with one of `federated` tokens."""

    def __init__(self) -> None:
        self.tenant, self.client = str(uuid.uuid4()), str(uuid.uuid4())
        self.secret = "a secret of the application"
        self.federated: set[str] = set()
        self.principal = str(uuid.uuid4())
        """The object id of the application, and of the machine's identity."""
        self.base = ""
        self.grants: list[str] = []
        """Which grants were asked for, in order."""
        self.person = (str(uuid.uuid4()), "ann@example.com")
        """Who sits at the browser that is sent here to sign in: object id and name."""
        self.person_claims: dict[str, Any] = {}
        """What that person's access tokens say besides."""
        self.lasts = 3600.0
        """Seconds that a person's tokens are good for."""
        self.spoil: dict[str, str] = {}
        """What an ID token says instead of the truth."""
        self._codes: dict[str, dict[str, str]] = {}
        self._refreshing: dict[str, tuple[str, str]] = {}
        self._key = _signing_key()

    def token(self, audience: str, oid: str, *, lasts: float = 3600.0, **claims: Any) -> str:
        """An access token of version 2."""
        now = int(time.time())
        body = {
            "aud": audience, "iss": f"{self.base}/{self.tenant}/v2.0", "iat": now, "nbf": now, "exp": now + int(lasts),
            "oid": oid, "tid": self.tenant, "ver": "2.0", **claims,
        }  # fmt: skip
        return jwt.encode(body, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def user_token(self, oid: str, name: str = "someone@example.com", *, lasts: float = 3600.0) -> str:
        """What a person sends to the register."""
        return self.token(self.client, oid, lasts=lasts, preferred_username=name, scp="access_as_user")

    def caller(self, request: Request, audience: str) -> str:
        """The object id of who sent a request. Raises Refused."""
        challenge = {"WWW-Authenticate": f'Bearer authorization_uri="{self.base}/{self.tenant}"'}
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refused(401, "AuthenticationFailed", "Authentication failed.", challenge)
        try:
            return str(self._verified(text, audience)["oid"])
        except jwt.ExpiredSignatureError:
            raise Refused(401, "ExpiredAuthenticationToken", "The access token expiry is over.", challenge) from None
        except jwt.PyJWTError:
            raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.", challenge) from None

    def _verified(self, text: str, audience: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(text, self._key.public_key(), algorithms=["RS256"], audience=audience)
        return claims

    def serve(self, request: Request) -> Answer | None:
        """The answer, when the request is for Entra ID."""
        root = f"/{self.tenant}"
        if request.path == f"{root}/v2.0/.well-known/openid-configuration":
            return Answer(200, self._configuration())
        if request.path == f"{root}/discovery/v2.0/keys":
            return Answer(200, {"keys": [self._public_key()]})
        if request.path == f"{root}/oauth2/v2.0/authorize":
            return self._authorize(request.query)
        if request.path == f"{root}/oauth2/v2.0/token":
            return self._grant(request.form)
        return None

    def _configuration(self) -> dict[str, Any]:
        root = f"{self.base}/{self.tenant}"
        return {
            "issuer": f"{root}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
        }

    def _public_key(self) -> dict[str, Any]:
        key: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {**key, "kid": KEY_ID, "use": "sig"}

    def _authorize(self, query: dict[str, str]) -> Answer:
        """The person at the browser signs in; the browser is sent back with a code."""
        wanted = {"client_id": self.client, "response_type": "code", "code_challenge_method": "S256"}
        if any(query.get(name) != value for name, value in wanted.items()):
            return Answer(400, {"error": "invalid_request", "error_description": "AADSTS90014: a field is missing"})
        code = secrets.token_urlsafe(24)
        self._codes[code] = query
        back = urllib.parse.urlencode({"code": code, "state": query["state"]})
        return Answer(302, b"", {"Location": f"{query['redirect_uri']}?{back}"})

    def _redeem(self, form: dict[str, str]) -> Answer:
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return _denied(400, "invalid_grant", "AADSTS54005: OAuth2 Authorization code was already redeemed.")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return _denied(400, "invalid_grant", "AADSTS501481: The Code_Verifier does not match the code_challenge.")
        return self._signed_in(*self.person, nonce=asked.get("nonce", ""))

    def _renew(self, form: dict[str, str]) -> Answer:
        person = self._refreshing.get(form.get("refresh_token", ""))
        if person is None:
            return _denied(400, "invalid_grant", "AADSTS70043: The refresh token has expired or been revoked.")
        return self._signed_in(*person)

    def revoke_refreshing(self) -> None:
        """No token can be renewed any more."""
        self._refreshing.clear()

    def _signed_in(self, oid: str, name: str, nonce: str = "") -> Answer:
        refresh = secrets.token_urlsafe(24)
        self._refreshing[refresh] = (oid, name)
        access = self.token(
            self.client, oid, lasts=self.lasts, preferred_username=name, scp="access_as_user",
            uti=secrets.token_hex(4), **self.person_claims,
        )  # fmt: skip
        about: dict[str, Any] = {"preferred_username": name, "sub": oid, **({"nonce": nonce} if nonce else {})}
        about |= self.spoil
        more = {"id_token": self.token(self.client, oid, **about), "refresh_token": refresh, "scope": "access_as_user"}
        answer = _issued(access)
        return Answer(200, {**answer.body, "expires_in": int(self.lasts), **more})

    def _grant(self, form: dict[str, str]) -> Answer:
        self.grants.append(form.get("grant_type", ""))
        if form.get("client_id") != self.client:
            return _denied(400, "unauthorized_client", "AADSTS700016: Application not found in the directory.")
        if form.get("client_secret") != self.secret and form.get("client_assertion") not in self.federated:
            return _denied(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        if form.get("grant_type") == "authorization_code":
            return self._redeem(form)
        if form.get("grant_type") == "refresh_token":
            return self._renew(form)
        audience = form.get("scope", "").split(" ")[0].removesuffix("/.default")
        if form.get("grant_type") == "client_credentials":
            return _issued(self.token(audience, self.principal))
        if form.get("grant_type") != OBO_GRANT or form.get("requested_token_use") != "on_behalf_of":
            return _denied(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.")
        return self._on_behalf(form.get("assertion", ""), audience)

    def _on_behalf(self, assertion: str, audience: str) -> Answer:
        try:
            claims = self._verified(assertion, self.client)
        except jwt.ExpiredSignatureError:
            return _denied(400, "invalid_grant", "AADSTS500133: Assertion is not within its valid time range.")
        except jwt.PyJWTError:
            return _denied(400, "invalid_grant", "AADSTS50013: Assertion failed signature validation.")
        return _issued(self.token(audience, claims["oid"]))

    def machine_token(self, request: Request) -> Answer:
        """The managed identity's endpoint, which needs no secret but a header."""
        if request.headers.get("metadata") != "true":
            return Answer(400, {"error": "invalid_request", "error_description": "Required metadata header missing"})
        audience = request.query["resource"]
        self.grants.append("managed_identity")
        expiry = {"expires_in": "3600", "expires_on": str(int(time.time()) + 3600)}
        token = self.token(audience, self.principal)
        return Answer(200, {"access_token": token, "token_type": "Bearer", "resource": audience, **expiry})


@functools.cache
def _signing_key() -> rsa.RSAPrivateKey:
    """One for the whole run of tests: making it takes longer than most of them."""
    return rsa.generate_private_key(65537, 2048)


def _issued(token: str) -> Answer:
    return Answer(200, {"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": token})


def _denied(status: int, error: str, text: str) -> Answer:
    return Answer(status, {"error": error, "error_description": text, "error_codes": [int(text[6:].partition(":")[0])]})
