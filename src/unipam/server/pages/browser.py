"""What a browser sends along: the session's cookie, where a request comes from, the fields of a form."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from unipam.model.errors import BadInput, Forbidden
from unipam.plan.access.sessions import LONGEST

FORM_TOKEN = "form"  # noqa: S105 (the name of a field)
"""The field of every form that changes something: who can fill it in has read a page of this session."""
PAGE = "page"
"""The field that names the page which a form stands on: there one comes back to when the session is gone."""
DONE = "-done"
"""The cookie that says, once, what was done before this page was asked for."""
LONGEST_PLACE = 6000
"""Characters of an address to come back to: longer ones are cut off somewhere on the way."""
_FROM_ELSEWHERE = "this request does not come from a page of this register: open the page anew, and send it from there"


def is_secure(request: Request) -> bool:
    """Return whether the browser speaks TLS, to us or to a proxy in front of us."""
    return request.url.scheme == "https"


def origin(request: Request) -> str:
    """Return the address of this server, as the browser knows it."""
    return f"{request.url.scheme}://{request.url.netloc}"


def cookie_name(request: Request, what: str = "") -> str:
    """Return the name of a cookie. With TLS only this host can have set it; without, ports share their cookies."""
    if is_secure(request):
        return f"__Host-unipam{what}"
    return f"unipam{what}-{request.url.port or 80}"


def set_cookie(request: Request, response: Response, value: str, what: str = "", lasts: float = LONGEST) -> None:
    """Let the browser keep something that no script can read and no other site makes it send with a form."""
    response.set_cookie(
        cookie_name(request, what), value, max_age=int(lasts), path="/", secure=is_secure(request), httponly=True,
        samesite="lax",
    )  # fmt: skip


def drop_cookie(request: Request, response: Response, what: str = "") -> None:
    """Let the browser forget it."""
    response.delete_cookie(
        cookie_name(request, what), path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def cookie(request: Request, what: str = "") -> str:
    """Return what the browser kept; empty when there is nothing."""
    return request.cookies.get(cookie_name(request, what), "")


def done(request: Request) -> str:
    """Return what was done before this page was asked for."""
    return unquote(cookie(request, DONE))[:500]


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


def client_of(request: Request) -> str:
    """Return which browser and system a request says to come from, so that people recognise their sessions."""
    told = request.headers.get("user-agent", "")
    what = next((name for sign, name in _BROWSERS if sign in told), "another browser")
    where = next((name for sign, name in _SYSTEMS if sign in told), "")
    return f"{what} on {where}" if where else what


def form_token(key: str) -> str:
    """Return what every form of a session brings along."""
    made = hmac.digest(key.encode(), b"unipam form", hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def require_own_origin(request: Request) -> None:
    """Refuse what another site made the browser send. Raises Forbidden.

    Browsers say where a request comes from in `Sec-Fetch-Site`, and, where they speak no TLS, in `Origin` alone.
    """
    site, named = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if not (site == "same-origin" if site is not None else named == origin(request)):
        raise Forbidden(_FROM_ELSEWHERE, origin=named or site or "")


def require_form_token(given: object, key: str) -> None:
    """Refuse a form that no page of this session made. Raises Forbidden."""
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), form_token(key).encode()):
        raise Forbidden(_FROM_ELSEWHERE)


async def read_form(request: Request) -> FormData:
    """Return the fields of a form. Raises BadInput."""
    try:
        return await request.form(max_files=1000, max_fields=2000)
    except (MultiPartException, HTTPException, UnicodeDecodeError) as error:
        raise BadInput("the form cannot be read: send it anew from its page") from error


def texts(form: FormData) -> dict[str, str]:
    """Return the fields that are texts."""
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


def place_of(request: Request) -> str:
    """Return the address of the page that is asked for, within this server; of a form, the page that it stood on."""
    stood_on: str = getattr(request.state, "stood_on", "")
    return stood_on or request.url.path + (f"?{request.url.query}" if request.url.query else "")


def query_of(request: Request) -> dict[str, str]:
    """Return the query of the page that is asked for, or that a form stood on."""
    return dict(parse_qsl(place_of(request).partition("?")[2], keep_blank_values=True))


def own_place(text: Any) -> str:
    """Return an address to go on to, if it lies on this server; else the first page."""
    if not isinstance(text, str) or len(text) > LONGEST_PLACE or not text.isprintable():
        return "/"
    parts = urlsplit(text.replace("\\", "/"))  # browsers take one for the other
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or text.startswith("//"):
        return "/"
    return text if not parts.path.startswith("/auth/") else "/"


def with_query(path: str, values: Mapping[str, Any]) -> str:
    """Return an address with these values in its query, without those that are empty."""
    query = urlencode({name: value for name, value in values.items() if value not in (None, "")}, doseq=True, safe="/")
    return f"{path}?{query}" if query else path
