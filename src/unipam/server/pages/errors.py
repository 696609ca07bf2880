"""Refusals as pages: what is wrong, why, and the way on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from unipam.model.errors import NotSignedIn, Unavailable, UnipamError
from unipam.server.pages import browser
from unipam.server.pages.page import Head, Page, bare

TITLES = {
    400: "That cannot be read",
    401: "Not signed in",
    403: "Not allowed",
    404: "There is no such page",
    405: "Not here",
    409: "That does not fit",
    412: "Somebody was faster",
    413: "Too large",
    422: "That cannot be read",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Not now",
}


RETRY = 5
"""Seconds after which a page asks again by itself for what was not to be had. A form is never sent again by itself."""


class Trouble(NamedTuple):
    """What a page of a refusal tells. `again`: to try again may help."""

    status: int
    detail: str
    again: bool = False

    @property
    def title(self) -> str:
        """Return its heading."""
        return TITLES.get(self.status, "Something went wrong")


def refused(request: Request, error: UnipamError, status: int) -> Response:
    """Answer with an error; who has not signed in is sent to do so, and comes back."""
    if isinstance(error, NotSignedIn):
        return _to_sign_in(request, str(error.facts.get("place", "")))
    return answer(request, Trouble(status, error.message, again=isinstance(error, Unavailable)), {})


def misshapen(request: Request, rows: Sequence[Mapping[str, Any]]) -> Response:
    """Answer to a query or form of the wrong shape."""
    detail = "; ".join(f"{row['loc'][-1]}: {row['msg']}" for row in rows)
    return answer(request, Trouble(422, detail), {})


def http(request: Request, status: int, detail: str, headers: dict[str, str]) -> Response:
    """Answer what the framework refuses."""
    text = f"Nothing is at {request.url.path}." if status == 404 and detail == "Not Found" else detail
    return answer(request, Trouble(status, text), headers)


def answer(request: Request, trouble: Trouble, headers: dict[str, str]) -> Response:
    """Answer with a page that tells of trouble, in the frame if it is known who asks."""
    page: Page | None = getattr(request.state, "page", None)
    is_part = request.headers.get("hx-request") == "true"
    retries = RETRY if trouble.again and request.method == "GET" and not is_part else 0
    told = {"trouble": trouble, "place": browser.place_of(request), "retries": retries}
    if is_part:
        made: Response = bare(request, "trouble-part.html", trouble.status, **told)
    elif page is not None:
        made = page.render("trouble.html", Head(trouble.title), trouble.status, **told)
    else:
        made = bare(request, "trouble-bare.html", trouble.status, **told)
    made.headers.update(headers)
    if told["retries"]:
        made.headers["Refresh"] = str(RETRY)
    return made


def _to_sign_in(request: Request, place: str) -> Response:
    """Send to the page for signing in, and from there to where one wanted to be."""
    back = place or (browser.place_of(request) if request.method == "GET" else "/")
    target = browser.with_query("/auth/sign-in", {"next": back if back != "/" else ""})
    headers = {"Cache-Control": "no-store"}
    if request.headers.get("hx-request") == "true":
        current = request.headers.get("hx-current-url", "")
        back = browser.own_place(current.partition(f"//{request.url.netloc}")[2])
        return Response(
            status_code=401, headers={**headers, "HX-Redirect": browser.with_query("/auth/sign-in", {"next": back})}
        )
    return RedirectResponse(target, 303, headers)
