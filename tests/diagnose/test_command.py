"""`unipam diagnose` as a person calls it: exit codes, forms of the answer, the page, and nothing odd on stderr."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from tests.diagnose import nights

UNIPAM = Path(sys.executable).with_name("unipam")
STAMP = "2025/03/05 18:16:10 [1] [ipam] "
GIVEN = STAMP.replace("[1]", "[2]") + "Address request completed with address:10.0.0.5/16\n"
REFUSED = (
    f"{STAMP}Requesting address with address: options:map[azure.address.id:aaaa].\n"
    f"{STAMP}Address request failed with No available addresses\n"
)


def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([UNIPAM, "diagnose", *args], input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("log", "code", "verdict"),
    [(GIVEN, 0, "Healthy. Nothing wrong"), (REFUSED, 1, "1 fault."), ("hello world\n", 3, "Not understood.")],
)
def test_a_pasted_log(log: str, code: int, verdict: str) -> None:
    done = run("-", stdin=log)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(verdict)
    assert "\x1b" not in done.stdout  # no terminal, no colours


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "azure-vnet-ipam.log"
    path.write_text(REFUSED)
    as_json = json.loads(run(str(path), "-o", "json").stdout)
    assert yaml.safe_load(run(str(path), "-o", "yaml").stdout) == as_json
    assert as_json["version"] == 2
    (found,) = as_json["findings"]
    assert (found["kind"], found["severity"], found["first"]) == ("azure-exhausted", "fault", "2025-03-05 18:16:10")
    assert found["evidence"] == [{"file": str(path), "line": 2, "text": REFUSED.splitlines()[1]}]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "name a path, --node, or - for standard input"),
        (("/no/such/place",), "cannot read /no/such/place: no such file or directory"),
        (
            ("/dev/zero",),
            "cannot read /dev/zero: is a device, which need never end: name a file, or pipe its text to `-`",
        ),
        (("-o", "xml", "-"), "Invalid value for '-o'"),
        (
            ("-", "--html", "/no/such/place/page.html"),
            "cannot write /no/such/place/page.html: No such file or directory",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(args: tuple[str, ...], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_help_shows_examples_and_exit_codes() -> None:
    text = run("--help").stdout
    for words in (
        "Examples:",
        "unipam diagnose --node",
        "Exit codes:",
        "0  healthy",
        "1  findings",
        "3  not understood",
    ):
        assert words in text


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "line", "circle"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def page_of(tmp_path: Path, log: str) -> str:
    path = tmp_path / "page.html"
    run("-", "--html", str(path), stdin=log)
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = page_of(tmp_path, GIVEN + REFUSED)
    page = _Page()
    page.feed(text)
    assert not page.open  # every element is closed
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"}
    assert not [attrs for _, attrs in page.tags if attrs.keys() & {"src", "href", "onclick"}]
    assert not re.search(r"url\(|@import", text)


def test_the_page_draws_who_held_an_address_and_who_was_refused(tmp_path: Path) -> None:
    text = page_of(tmp_path, GIVEN + REFUSED)
    picture = text[text.index("<svg") : text.index("</svg>")]
    assert ">10.0.0.5</text>" in picture
    assert picture.count("<rect x=") == 1
    assert picture.count('stroke="var(--refused)"') == 1


def test_what_a_log_says_is_no_markup_in_the_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    text = page_of(
        tmp_path, REFUSED.replace("aaaa", evil) + f"Failed create pod sandbox {evil}: No available addresses: x\n"
    )
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_the_page_shows_leaks_as_leaks_and_refusals_in_order_of_time(tmp_path: Path) -> None:
    nights.leaks(tmp_path)
    path = tmp_path / "page.html"
    run(str(tmp_path), "--html", str(path))
    text = path.read_text(encoding="utf-8")
    picture = text[text.index("<svg") : text.index("</svg>")]
    assert picture.count('class="leaked"') == 12
    rows = re.findall(r'<text x="0" y="\d+">([^<]+)</text>', picture)
    assert rows[:12] == [f"10.224.0.{number}" for number in range(23, 35)]
    assert rows[12:] == [f"shop/cart-{number % 12}" for number in range(36)]


def test_the_page_is_as_wide_as_the_window_and_ids_are_short(tmp_path: Path) -> None:
    nights.leaks(tmp_path)
    path = tmp_path / "page.html"
    run(str(tmp_path), "--html", str(path))
    text = path.read_text(encoding="utf-8")
    whole = nights.container(19)
    assert f'<abbr title="{whole}">{whole[:12]}</abbr>' in text
    assert "svg { display: block; width: 100%; height: auto; }" in text
    assert not re.search(r'<svg[^>]* width="', text)
    assert "prefers-color-scheme: dark" in text
