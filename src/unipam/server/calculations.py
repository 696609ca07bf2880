"""What is worked out from what somebody sends, and nothing of it kept: a cluster's sizes, a node's troubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from unipam.diagnose.report import Report
from unipam.model.errors import BadValue
from unipam.server.register import Register

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


async def diagnosed(request: Request, register: Register) -> Report:
    """Return the diagnosis of what a form brings: `file`s, and a `text`. Raises BadValue for one that brings none.

    Large files lie on the disk without a name while they are read, and are gone with the request.
    """
    form = await request.form(max_files=MOST_FILES, max_fields=20, max_part_size=16 << 20)
    try:
        return await register.in_thread(diagnosis_of(form))
    finally:
        await form.close()


def diagnosis_of(form: FormData) -> Callable[[], Report]:
    """Return the work of diagnosing a form's `file`s and `text`. Raises BadValue when it brings none."""
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
