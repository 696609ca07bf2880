"""Optional dependencies: the extra of the package that brings a module which a command needs and does not find."""

from __future__ import annotations

EXTRAS = {
    "azure": "azure",
    "fastapi": "server",
    "fastapi_offline": "server",
    "grpc": "cri",
    "httptools": "server",
    "jinja2": "server",
    "jwt": "server",
    "lightkube": "kubernetes",
    "msal": "server",
    "multipart": "server",
    "psycopg": "server",
    "pydantic": "server",
    "python_multipart": "server",
    "starlette": "server",
    "structlog": "server",
    "uvicorn": "server",
    "uvloop": "server",
}
"""The extra (pyproject.toml) of each top-level module that a plain `pip install unipam` does not bring."""


def way_out(missing: ModuleNotFoundError) -> str:
    """Return what is missing and the line that installs it, for a person; "" for a module that no extra brings."""
    module = (missing.name or "").partition(".")[0]
    extra = EXTRAS.get(module, "")
    return f"this needs {module}, which is not installed: pip install 'unipam[{extra}]'" if extra else ""
