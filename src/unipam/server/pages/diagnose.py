"""The page that reads a node's logs and states and says what is wrong. Nothing of it is kept."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.diagnose.report import Evidence, Report
from unipam.model.errors import NotSignedIn, UnipamError
from unipam.server.calculations import diagnosis_of
from unipam.server.pages.forms import Problem
from unipam.server.pages.page import FormDep, Head, Page, PageDep

router = APIRouter(include_in_schema=False)

MOST_ROWS = 60
SEVERITIES = {"fault": "bad", "unknown": "warning", "warning": "warning", "note": "info"}
TONES = {"healthy": "good", "findings": "bad", "not understood": "warning"}
FORMATS = (
    "azure-vnet and azure-vnet-ipam logs and states", "Calico and Cilium logs and documents", "Azure CNS logs",
    "kubelet and containerd logs", "kubectl describe and get, as text, JSON or YAML", "CNI configuration lists",
    "host-local's files", "rotated and compressed logs",
)  # fmt: skip


@router.get("/diagnose")
async def diagnose(page: PageDep) -> Response:
    """What do these logs mean?"""
    return _show(page)


def _show(page: Page, report: Report | None = None, problem: Problem | None = None, text: str = "") -> Response:
    head = Head("Diagnose", "What do these logs mean?", command="diagnose FILE", api="/diagnose",
                sends="-F file=@FILE")  # fmt: skip
    picture, page_text = ("", "") if report is None else _files(report)
    return page.render(
        "diagnose.html", head, problem.status if problem else 200, report=report, problem=problem, text=text,
        severities=SEVERITIES, tones=TONES, most=MOST_ROWS, formats=FORMATS, json_file=picture, html_file=page_text,
        short=_short,
    )  # fmt: skip


_LARGEST_LINK = 2_000_000


def _files(report: Report) -> tuple[str, str]:
    """Return the report as JSON and as a page, as addresses that hold it themselves: there is no copy on the server."""
    import msgspec

    from unipam.diagnose.render.html import page_of

    texts = (("application/json", msgspec.json.encode(report).decode()), ("text/html", page_of(report)))
    json_file, html_file = (f"data:{kind};charset=utf-8,{quote(text)}" for kind, text in texts)
    return (
        json_file if len(json_file) < _LARGEST_LINK else "",
        html_file if len(html_file) < _LARGEST_LINK else "",
    )


def _short(line: Evidence) -> str:
    return f"{line.file}:{line.line}"


@router.post("/diagnose")
async def diagnosed(form: FormDep) -> Response:
    """Say what is wrong by what was dropped or pasted."""
    text = form.fields.get("text", "")
    try:
        report = await form.page.register.in_thread(diagnosis_of(form.whole))
    except NotSignedIn:
        raise
    except UnipamError as error:
        return _show(form.page, None, Problem.of(error), text)
    finally:
        await form.whole.close()
    return _show(form.page, report, None, text if len(text) < _LARGEST_LINK // 100 else "")
