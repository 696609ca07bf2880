"""The headers of every page: what a browser may load and tell, and that nothing of a page is kept."""

from __future__ import annotations

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_FIXED = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def page_headers(*, secure: bool) -> dict[str, str]:
    """Return a page's headers; `secure`: the browser speaks TLS."""
    transport = {"Strict-Transport-Security": "max-age=31536000"} if secure else {}
    return {"Content-Security-Policy": POLICY, **_FIXED, **transport}
