"""A person with a browser without a screen: keeps cookies, follows redirects, holds every page to what is promised.

`Visitor.get` and `Visitor.send` check each answer (`contract`): so a test of a page that only looks at its words tests
its shape too.
"""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

BLANK = {"form", "page"}


@dataclass
class Answer:
    """What came back, as text and as a tree."""

    status: int
    headers: http.client.HTTPMessage
    text: str
    place: str
    tree: Element = field(repr=False, default_factory=lambda: Element("html"))

    def find(self, tag: str, **attributes: str) -> list[Element]:
        """Every element of this name with these attributes; `class_` is a word of its class."""
        word = attributes.pop("class_", "")
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            each
            for each in self.tree.iter(tag)
            if all(each.get(name) == value for name, value in wanted.items())
            and (not word or word in (each.get("class") or "").split())
        ]

    @property
    def heading(self) -> str:
        return words(self.find("h1")[0])

    @property
    def words(self) -> str:
        """The text of the page, as it is read."""
        return words(self.tree.find("body") if self.tree.find("body") is not None else self.tree)

    def rows(self, number: int = 0) -> list[list[str]]:
        """The cells of a table."""
        table = self.find("table")[number]
        return [[words(cell) for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr")]

    def fields(self, action: str) -> dict[str, str]:
        """The fields of the form with this action, as a browser would send them untouched."""
        (form,) = self.find("form", action=action)
        return dict(_filled(form))


def _filled(form: Element) -> Iterator[tuple[str, str]]:
    for each in form.iter("input"):
        kind = each.get("type", "text")
        if each.get("name") and (kind not in ("checkbox", "radio") or each.get("checked") is not None):
            yield str(each.get("name")), each.get("value", "on" if kind in ("checkbox", "radio") else "")
    for each in form.iter("textarea"):
        yield str(each.get("name")), each.text or ""
    for each in form.iter("select"):
        options = list(each.iter("option"))
        chosen = next((o for o in options if o.get("selected") is not None), options[0] if options else None)
        if chosen is not None:
            yield str(each.get("name")), chosen.get("value", chosen.text or "")


def words(element: Element | None) -> str:
    """The text of an element, its blanks as one."""
    return " ".join("".join(_texts(element)).split()) if element is not None else ""


def _texts(element: Element) -> Iterator[str]:
    if isinstance(element.tag, str) and element.tag not in ("script", "style"):
        yield element.text or ""
        for each in element:
            yield from _texts(each)
            yield each.tail or ""
        if element.tag in ("p", "li", "td", "th", "div", "h1", "h2", "dt", "dd", "option", "label", "tr"):
            yield " "


class Visitor:
    """Somebody at a register on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def raw(
        self, method: str, place: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, nothing added but the cookies, nothing checked, no redirect followed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Accept": "text/html", **(headers or {})}
        if self.cookies and "Cookie" not in sent:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, place, body, sent)
            got = connection.getresponse()
            for each in got.headers.get_all("Set-Cookie") or ():
                self._keep(each)
            return Answer(got.status, got.headers, got.read().decode(), place)
        finally:
            connection.close()

    def _keep(self, header: str) -> None:
        name, _, rest = header.partition("=")
        value, _, terms = rest.partition(";")
        if "max-age=0" in terms.lower():
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def get(self, place: str, **headers: str) -> Answer:
        """A page, whatever it redirects to; it keeps the contract."""
        return self._followed(self.raw("GET", place, None, {"Sec-Fetch-Site": "same-origin", **headers}))

    def part(self, place: str) -> Answer:
        """A part of a page, as htmx asks for it."""
        answer = self.raw("GET", place, None, {"HX-Request": "true", "Accept": "*/*"})
        answer.tree = html5lib.parse(answer.text, namespaceHTMLElements=False)
        return answer

    def post(self, place: str, fields: Mapping[str, Any], **headers: str) -> Answer:
        """A form as a browser sends it, and where it redirects to."""
        body = urllib.parse.urlencode(fields, doseq=True).encode()
        sent = {
            "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin",
            "Origin": self.origin, **headers,
        }  # fmt: skip
        return self._followed(self.raw("POST", place, body, sent))

    def send(self, page: Answer, action: str, **fields: Any) -> Answer:
        """Fill in the form of a page that has this action, and send it."""
        return self.post(action, page.fields(action) | fields)

    def _followed(self, answer: Answer) -> Answer:
        for _ in range(5):
            if answer.status not in (303, 307):
                break
            answer = self.raw("GET", answer.headers["Location"])
        if answer.headers.get_content_type() == "text/html":
            answer.tree = html5lib.parse(answer.text, namespaceHTMLElements=False)
            contract(answer)
        return answer

    def sign_in(self, token: str, place: str = "/") -> Answer:
        """Sign in with a local token."""
        return self.post("/auth/token", {"token": token, "next": place})


def contract(answer: Answer) -> None:
    """Hold a page to what every page promises."""
    parser = html5lib.HTMLParser(strict=False, namespaceHTMLElements=False)
    parser.parse(answer.text)
    assert not parser.errors, [(where, kind, facts) for where, kind, facts in parser.errors][:5]
    assert len(answer.find("h1")) == 1, "a page has one heading"
    assert answer.find("title")
    assert words(answer.find("title")[0])
    _no_inline(answer)
    _labels(answer)
    for cell in answer.find("th"):
        assert cell.get("scope") in ("col", "row", "colgroup", "rowgroup"), words(cell)
    ids = [each.get("id") for each in answer.tree.iter() if each.get("id")]
    assert len(ids) == len(set(ids)), sorted(each for each in ids if ids.count(each) > 1)
    for name in ("Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"):
        assert answer.headers[name], name
    assert answer.headers["Cache-Control"] == "no-store"


def _no_inline(answer: Answer) -> None:
    assert not answer.find("style")
    for each in answer.tree.iter():
        if not isinstance(each.tag, str):
            continue
        assert each.get("style") is None, each.tag
        assert not [name for name in each.attrib if name.startswith("on")], each.attrib
        assert each.tag != "script" or (each.get("src") and not (each.text or "").strip())
        for name in ("src", "href", "action", "hx-get", "hx-post"):
            place = each.get(name) or ""
            assert not urllib.parse.urlsplit(place).scheme or place.startswith(("https://portal.azure", "data:")), place
            assert not place.startswith("//"), place


def _labels(answer: Answer) -> None:
    named = {each.get("for") for each in answer.find("label")}
    within = {id(inner) for label in answer.find("label") for inner in label.iter()}
    for tag in ("input", "select", "textarea"):
        for each in answer.find(tag):
            if each.get("type") in ("hidden", "submit"):
                continue
            assert each.get("id") in named or id(each) in within or each.get("aria-label"), each.attrib
    for each in answer.find("button"):
        assert words(each) or each.get("aria-label"), each.attrib
