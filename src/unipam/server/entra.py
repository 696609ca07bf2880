"""Entra ID access tokens: signature, issuer, audience, tenant and time, against cached signing keys.

The messages are those of the Azure IPAM application (spec azure-ipam-application §1.7). Keys are fetched on a thread of
their own, once for everybody who waits; whoever bears a token of a known key never waits.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

import jwt
import structlog

from unipam.model.errors import NotSignedIn, SourceFailed, UnipamError
from unipam.server.threads import Threads

log = structlog.get_logger()

KEYS_FRESH = 3600.0
"""Seconds after which the signing keys are fetched anew."""
KEYS_USABLE = 86_400.0
"""Seconds for which old keys serve while new ones cannot be fetched."""
UNKNOWN_FOR = 300.0
"""Seconds for which a key that the directory did not know is not asked for again; anybody can make one up."""
MOST_UNKNOWN = 1000
PAUSE = 10.0
"""Seconds at least between two fetches, whoever asks."""
KEYS_TIMEOUT = 5.0
"""Seconds for which the bearer of a token waits for its key."""
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
        """Return who must have issued a token."""
        return f"{self.authority}/{self.tenant}/v2.0"

    @property
    def keys_url(self) -> str:
        """Return where its signing keys are."""
        return f"{self.authority}/{self.tenant}/discovery/v2.0/keys"


class Keys:
    """The directory's signing keys by key id, for one event loop."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._fetcher = Threads(1, "keys")
        self._fetch: asyncio.Future[None] | None = None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._unknown: dict[str, float] = {}
        self._fetched = self._tried = float("-inf")

    async def find(self, key_id: str, before_waiting: Callable[[], None]) -> jwt.PyJWK:
        """Return the key of this id; `before_waiting` may raise. Raises NotSignedIn or SourceFailed."""
        if self._clock() - self._fetched > KEYS_FRESH:
            self._begin()
        if key_id not in self._keys or self._clock() - self._fetched > KEYS_USABLE:
            before_waiting()
            await self._wait_for(key_id)
        return self._keys[key_id]

    async def _wait_for(self, key_id: str) -> None:
        """Wait for a fetch, unless the key is known not to be. Raises NotSignedIn or SourceFailed."""
        asked = self._clock()
        if asked - self._unknown.get(key_id, float("-inf")) > UNKNOWN_FOR:
            self._begin()
            await self._end()
        if self._clock() - self._fetched > KEYS_USABLE:
            raise SourceFailed("the signing keys of Entra ID cannot be had now", source="entra")
        if key_id not in self._keys:
            if self._fetched >= asked:
                self._remember_unknown(key_id)
            raise NotSignedIn("Unable to find appropriate signing key.")

    def _remember_unknown(self, key_id: str) -> None:
        if len(self._unknown) >= MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[key_id] = self._fetched

    def _begin(self) -> None:
        """Fetch the keys, unless somebody does or did a moment ago."""
        if self._fetch is None and self._clock() - self._tried > PAUSE:
            self._tried = self._clock()
            self._fetch = asyncio.ensure_future(self._renew())

    async def _end(self) -> None:
        """Wait for the fetch that is under way, if there is one, and not for ever."""
        if self._fetch is not None:
            await asyncio.wait([self._fetch], timeout=KEYS_TIMEOUT)

    async def _renew(self) -> None:
        try:
            self._keys = await self._fetcher.call(lambda: fetch_keys(self._directory))
            self._fetched = self._clock()
        except (UnipamError, OSError, ValueError, HTTPException, RecursionError) as error:
            log.warning("signing keys not fetched", authority=self._directory.authority, error=str(error))
        finally:
            self._fetch = None

    def close(self) -> None:
        """Fetch no more; a fetch that hangs is left alone."""
        self._fetcher.close(time.monotonic())


def fetch_keys(directory: Directory) -> dict[str, jwt.PyJWK]:
    """Return the directory's signing keys by key id, without those that make no sense.

    Raises OSError, ValueError, HTTPException or RecursionError.
    """
    context = ssl.create_default_context(cafile=directory.ca_file or None)
    url = directory.keys_url
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no web address")
    with urllib.request.urlopen(url, timeout=_TIMEOUT, context=context) as answer:  # noqa: S310 (checked above)
        listed = json.loads(_read(answer))
    rows = listed.get("keys") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"{url} lists no keys")
    return dict(key for row in rows for key in _key(row))


def _read(answer: HTTPResponse) -> bytes:
    """Return the whole of an answer that comes in time. Raises TimeoutError or ValueError."""
    until, body = time.monotonic() + _TIMEOUT, b""
    while data := answer.read1(_MOST_BYTES):
        body += data
        if time.monotonic() > until:
            raise TimeoutError("the answer takes too long")
        if len(body) > _MOST_BYTES:
            raise ValueError("the answer is too large")
    return body


def _key(row: Any) -> Iterator[tuple[str, jwt.PyJWK]]:
    """Yield a row's key with its id; nothing when it is no key for signing by RSA, or is misshapen."""
    if isinstance(row, dict) and row.get("kty") == "RSA" and isinstance(row.get("kid"), str):
        try:
            yield row["kid"], jwt.PyJWK(row, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError) as error:
            log.warning("signing key left out", kid=row["kid"], error=str(error))


async def verify(text: str, directory: Directory, keys: Keys, before_waiting: Callable[[], None]) -> Mapping[str, Any]:
    """Return the claims of a token that is good. Raises as `Keys.find` does."""
    key = await keys.find(_check_version(text), before_waiting)
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            key,
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
    """Return whether a token is a person's. An application's own has no scopes, and nobody can act on behalf of one."""
    return "scp" in claims and claims.get("idtyp") != "app"


def groups_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the object ids, in lower case, of the groups that a token names."""
    return frozenset(each.lower() for each in _texts(claims, "groups"))


def app_roles_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the app roles that a token names, of a person or an application."""
    return frozenset(_texts(claims, "roles"))


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    listed = claims.get(name)
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def lacks_groups(claims: Mapping[str, Any]) -> bool:
    """Return whether a token leaves its groups out because they are too many, and says where to ask for them instead.

    Source: Microsoft's access token claims reference, "Groups overage claim" and `hasgroups`.
    """
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") is True or (isinstance(elsewhere, dict) and "groups" in elsewhere)


def _check_version(text: str) -> str:
    """Return the id of the key that is said to have signed a token of version 2. Raises NotSignedIn."""
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
