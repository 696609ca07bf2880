"""What the native API works out from what it is sent, and keeps nothing of: a cluster's sizes, a node's troubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from unipam.diagnose.report import Report
from unipam.model.errors import BadValue
from unipam.server.native.requests import problems
from unipam.server.register import CallerDep, Register, RegisterDep, reply
from unipam.server.routing import Router

router = Router(tags=["questions"])

MOST_FILES = 200
MOST_UNPACKED = 256 << 20
"""Bytes that files may have once they are unpacked, all together."""


def sizing_of(text: str) -> dict[str, Any]:
    """Return the plan of a cluster that a text describes in YAML or JSON. Raises BadValue with all that is wrong."""
    from unipam.sizing import report
    from unipam.sizing.document import read
    from unipam.sizing.fields import InvalidClusterError
    from unipam.sizing.plan import plan
    from unipam.sizing.text import MOST_BYTES, parse

    if len(text) > MOST_BYTES:
        raise BadValue(f"the description is longer than {MOST_BYTES} characters", field="description")
    try:
        return report.as_document(plan(read(parse(text))))
    except InvalidClusterError as error:
        raise BadValue("; ".join(error.problems), field="description", problems=error.problems) from None
    except (ValueError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise BadValue(f"the description is neither JSON nor YAML: {text}", field="description") from None


@router.post("/sizing", response_model=dict[str, Any], responses=problems(), openapi_extra={
    "requestBody": {"required": True, "content": {
        "application/json": {"schema": {"type": "object"}}, "application/yaml": {"schema": {"type": "string"}},
    }}
})  # fmt: skip
async def sizing(request: Request, register: RegisterDep, _: CallerDep) -> Response:
    """The plan of a described AKS cluster, as `unipam sizing -o json` answers: needs, places, limits, findings."""
    text = _decoded(await request.body())
    return reply(await register.in_thread(lambda: sizing_of(text)))


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadValue("the description is not UTF-8 text", field="description") from None


@router.post("/diagnose", response_model=dict[str, Any], responses=problems(), openapi_extra={
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "properties": {
            "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "text": {"type": "string"},
        }
    }}}}
})  # fmt: skip
async def diagnose(request: Request, register: RegisterDep, _: CallerDep) -> Response:
    """What is wrong by these logs, states and dumps, as `unipam diagnose -o json` answers. Nothing of it is kept."""
    return reply(await diagnosed(request, register))


async def diagnosed(request: Request, register: Register) -> Report:
    """Return the diagnosis of what a form brings: `file`s, and a `text`. Raises BadValue for one that brings none.

    Large files lie on the disk without a name while they are read, and are gone with the request.
    """
    form = await request.form(max_files=MOST_FILES, max_fields=20, max_part_size=16 << 20)
    try:
        return await register.in_thread(_diagnosis(form))
    finally:
        await form.close()


def _diagnosis(form: FormData) -> Callable[[], Report]:
    from io import BytesIO

    from unipam.diagnose import diagnose_uploads

    uploads = [(each.filename or "file", each.file) for each in form.getlist("file") if isinstance(each, UploadFile)]
    uploads = [(name, file) for name, file in uploads if name != "file" or (file.read(1) and not file.seek(0))]
    text = form.get("text")
    if isinstance(text, str) and text.strip():
        uploads.append(("pasted text", BytesIO(text.encode())))
    if not uploads:
        raise BadValue("there is nothing to read: give files as `file`, or a `text`", field="file")
    return lambda: diagnose_uploads(uploads, MOST_UNPACKED)
