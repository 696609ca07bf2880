"""The site: it is built without a warning, loads nothing from elsewhere, and its reference tells of all there is."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cli.test_help import LEAVES
from tests.server.pages.chromium import PATH, chromium, tab

from unipam.model.errors import UnipamError

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]*)\"|<link\b[^>]*\bhref=\"([^\"]*)\"")


def build(root: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("mkdocs"), "build", "-d", target]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stderr
    return target


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {found[1] or found[2] for page in pages for found in LOADED.finditer(page.read_text("utf-8"))}
    assert len(pages) > 35
    assert any(each.endswith(".css") for each in loaded)
    assert [each for each in loaded if "//" in each] == []
    styles = "".join(style.read_text("utf-8") for style in site.rglob("*.css"))
    assert re.findall(r"url\((?!['\"]?(?:data:|#))[^)]*//", styles) + re.findall(r"@import[^;]*", styles) == []
    drawn = [page.name for page in pages if 'class="mermaid"' in page.read_text("utf-8")]
    assert drawn == [], "the theme loads the script for these from elsewhere"


@pytest.mark.real
@pytest.mark.skipif(not PATH.exists(), reason="needs Debian's chromium")
def test_a_browser_asks_nobody_else_and_finds_what_it_searches(site: Path) -> None:
    with serving(site) as origin, chromium() as browser, tab(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for place in ("index.html", "architecture.html", "reference/api.html"):
            page.goto(f"{origin}/{place}")
            page.wait_for_load_state("networkidle")
        page.get_by_role("textbox", name="Search").click()
        page.keyboard.type("journal")
        page.locator(".md-search-result__item").first.wait_for()
        assert [each for each in asked if not each.startswith((origin, "data:", "blob:"))] == []
        assert len(asked) > 10


@contextlib.contextmanager
def serving(site: Path) -> Iterator[str]:
    """The site on loopback; where."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference/commands.html").read_text("utf-8")
    assert [words for words, _ in LEAVES if f'id="{"-".join(["unipam", *words])}"' not in page] == []
    assert "--give-back" in page
    assert "unipam cni uninstall --give-back --data-dir" in page, "examples too"


def test_every_error_is_in_both_pages(site: Path) -> None:
    def kinds(of: type[UnipamError]) -> set[str]:
        return {of.__name__}.union(*map(kinds, of.__subclasses__())) if "unipam.model" in of.__module__ else set()

    page = (site / "reference/errors.html").read_text("utf-8")
    assert {each for each in kinds(UnipamError) - {"UnipamError"} if f"<td>{each}</td>" not in page} == set()


def test_every_route_is_in_the_reference(site: Path) -> None:
    sys.path.insert(0, str(ROOT / "docs/hooks"))
    try:
        import api
    finally:
        sys.path.pop(0)
    pages = "".join((site / f"reference/{name}.html").read_text("utf-8") for name in ("api", "azure-ipam-api"))
    paths = api.document()["paths"]
    assert len(paths) > 50
    told = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert [each for each in told if f">{each}<" not in pages] == []


def test_every_alert_has_a_way_out() -> None:
    rules = yaml.safe_load((ROOT / "deploy/kubernetes/monitoring/rules.yaml").read_text("utf-8"))
    alerts = [rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    page = (ROOT / "docs/how-to/alerts.md").read_text("utf-8")
    assert re.findall(r"^\| `(Unipam\w+)`", page, re.MULTILINE) == alerts


@pytest.mark.parametrize("link", ["nowhere.md", "design.md#nowhere", "../nowhere.md", "/design.md"])
def test_a_link_to_nowhere_is_found(link: str, tmp_path: Path) -> None:
    for name in ("mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy/README.md", tmp_path / "deploy")
    with (tmp_path / "docs/errors.md").open("a") as page:
        page.write(f"\n[there]({link})\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere" in done.stderr + done.stdout or link in done.stderr + done.stdout
