"""Entra ID access tokens: signature, issuer, audience, tenant and time, against cached signing keys.

The messages are those of the Azure IPAM application (spec azure-ipam-application §1.7). Keys are fetched in whatever
thread asks; callers in an event loop use a thread.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt

from unipam.model.errors import NotSignedIn, SourceFailed

KEYS_FRESH = 3600.0
"""Seconds after which the signing keys are fetched anew."""
KEYS_USABLE = 86_400.0
"""Seconds for which old keys serve while new ones cannot be fetched."""
UNKNOWN_KEY_PAUSE = 300.0
"""Seconds at least between two fetches because of a key that is not known; anybody can make one up."""
_TIMEOUT = 10.0
_MOST_BYTES = 1 << 20
_LEEWAY = 60

UNPARSABLE = "Unable to parse authorization token."


class Directory(NamedTuple):
    """The tenant whose tokens are accepted, and for which application. `ca_file` adds certificates to the system's."""

    tenant: str
    client: str
    authority: str = "https://login.microsoftonline.com"
    ca_file: str = ""

    @property
    def issuer(self) -> str:
        """Who must have issued a token."""
        return f"{self.authority}/{self.tenant}/v2.0"

    @property
    def keys_url(self) -> str:
        """Where its signing keys are."""
        return f"{self.authority}/{self.tenant}/discovery/v2.0/keys"


class Keys:
    """The directory's signing keys by key id."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    def find(self, key_id: str) -> jwt.PyJWK:
        """The key of this id. Raises NotSignedIn when there is none, SourceFailed when none could be had."""
        with self._lock:
            now = self._clock()
            pause = UNKNOWN_KEY_PAUSE if key_id not in self._keys else KEYS_FRESH
            if now - self._tried > pause or (now - self._fetched > KEYS_FRESH and now - self._tried > _TIMEOUT):
                self._refresh(now)
            if key_id not in self._keys:
                raise NotSignedIn("Unable to find appropriate signing key.")
            return self._keys[key_id]

    def _refresh(self, now: float) -> None:
        self._tried = now
        try:
            self._keys = dict(self._fetch())
            self._fetched = now
        except (OSError, ValueError, jwt.PyJWTError) as error:
            if now - self._fetched > KEYS_USABLE:
                self._keys = {}
                raise SourceFailed(
                    f"the signing keys of {self._directory.authority} cannot be fetched: {error}", source="entra"
                ) from error

    def _fetch(self) -> list[tuple[str, jwt.PyJWK]]:
        context = ssl.create_default_context(cafile=self._directory.ca_file or None)
        url = self._directory.keys_url
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"{url} is no web address")
        with urllib.request.urlopen(url, timeout=_TIMEOUT, context=context) as answer:  # noqa: S310 (checked above)
            listed = json.loads(answer.read(_MOST_BYTES))
        rows = [row for row in listed["keys"] if row.get("kty") == "RSA" and "kid" in row]
        return [(row["kid"], jwt.PyJWK(row, algorithm="RS256")) for row in rows]


def verify(text: str, directory: Directory, keys: Keys) -> Mapping[str, Any]:
    """The claims of a token that is good. Raises NotSignedIn, or SourceFailed when the keys cannot be had."""
    key_id = _check_version(text)
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            keys.find(key_id),
            algorithms=["RS256"],
            audience=directory.client,
            issuer=directory.issuer,
            leeway=_LEEWAY,
            options={"require": ["exp", "iat", "aud", "iss", "tid", "oid"]},
        )
    except jwt.ExpiredSignatureError:
        raise NotSignedIn("Token has expired.") from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError):
        raise NotSignedIn("Incorrect token claims, please check the audience and issuer.") from None
    except jwt.InvalidSignatureError:
        raise NotSignedIn("Invalid token signature.") from None
    except jwt.PyJWTError:
        raise NotSignedIn("Unable to decode authorization token.") from None
    if claims["tid"] != directory.tenant or not isinstance(claims["oid"], str):
        raise NotSignedIn("Incorrect token claims, please check the audience and issuer.")
    return claims


def is_person(claims: Mapping[str, Any]) -> bool:
    """Whether a token is a person's. An application's own has no scopes, and nobody can act on behalf of one."""
    return "scp" in claims and claims.get("idtyp") != "app"


def groups_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The object ids, in lower case, of the groups that a token names."""
    return frozenset(each.lower() for each in _texts(claims, "groups"))


def app_roles_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The app roles that a token names, of a person or an application."""
    return frozenset(_texts(claims, "roles"))


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    listed = claims.get(name)
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def lacks_groups(claims: Mapping[str, Any]) -> bool:
    """Whether a token leaves its groups out because they are too many, and says where to ask for them instead.

    Source: Microsoft's access token claims reference, "Groups overage claim" and `hasgroups`.
    """
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") is True or (isinstance(elsewhere, dict) and "groups" in elsewhere)


def _check_version(text: str) -> str:
    """The id of the key that is said to have signed a token of version 2. Raises NotSignedIn."""
    try:
        header = jwt.get_unverified_header(text)
        version = str(jwt.decode(text, options={"verify_signature": False}).get("ver", ""))
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotSignedIn(UNPARSABLE) from None
    major = version.partition(".")[0]
    if major == "1":
        raise NotSignedIn("Microsoft Identity v1.0 access tokens are not supported.")
    if not major.isdigit():
        raise NotSignedIn("Unable to decode token version.")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise NotSignedIn("Unable to find appropriate signing key.")
    return key_id
