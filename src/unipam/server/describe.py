"""The OpenAPI document: what FastAPI reads off the routes, and what it cannot know, said once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from unipam.server.native.problems import MEDIA_TYPE, NATIVE

_JSON = "application/json"
_BEARER = {"type": "http", "scheme": "bearer", "description": "An Entra ID access token, or a local API token."}
_OPEN = ("/api/status",)
"""What may be asked without signing in."""
_GROUPS = {NATIVE: "unipam", "/api": "Azure IPAM application"}
"""The two APIs by the beginning of their paths, in the order in which they are shown."""
_WRITES = ("post", "put", "patch", "delete")


def operation_id(route: APIRoute) -> str:
    """Return the name of a route's method in generated clients; the two APIs have some names in common."""
    return route.name if route.path_format.startswith(NATIVE) else f"azure_{route.name}"


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the application's description, which is made once. (Signing in as a dependency of every route, of which
    FastAPI would tell by itself, would cost each request more than signing in itself.)
    """
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        document.setdefault("components", {})["securitySchemes"] = {"bearer": _BEARER}
        for path, method, operation in _operations(document):
            if path not in _OPEN:
                operation["security"] = [{"bearer": []}]
            if path.startswith(NATIVE):
                _tell_headers(document, method, operation)
        _group(document)
        app.openapi_schema = document
    return app.openapi_schema


def _group(document: dict[str, Any]) -> None:
    """Tell the two APIs apart: by their tags, which begin with the API's name, and by groups of them (ReDoc's)."""
    groups: dict[str, list[str]] = {name: [] for name in _GROUPS.values()}
    for path, _, operation in _operations(document):
        api = next(name for start, name in _GROUPS.items() if path.startswith(start))
        operation["tags"] = [f"{api}: {tag}" for tag in operation["tags"]]
        groups[api] += [tag for tag in operation["tags"] if tag not in groups[api]]
    document["tags"] = [{"name": tag} for tags in groups.values() for tag in tags]
    document["x-tagGroups"] = [{"name": name, "tags": tags} for name, tags in groups.items()]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _tell_headers(document: dict[str, Any], method: str, operation: dict[str, Any]) -> None:
    """Tell the headers of a native operation's answers, and the media type of those that are problems."""
    for status, answer in operation["responses"].items():
        headers: dict[str, Any] = {}
        if status in ("429", "503"):
            headers["Retry-After"] = _header("integer", "Seconds after which asking again makes sense.")
        if status.startswith("2") and _has_generation(document, answer):
            headers["ETag"] = _header("string", "The generation of what is shown, for If-Match.")
        if status.startswith("2") and method in _WRITES:
            headers["Dry-Run"] = _header("string", '"true" where nothing was changed because it was asked for so.')
        if headers:
            answer["headers"] = headers
        if MEDIA_TYPE in answer.get("content", {}):
            answer["content"] = {MEDIA_TYPE: answer["content"][_JSON]}


def _header(kind: str, description: str) -> dict[str, Any]:
    return {"schema": {"type": kind}, "description": description}


def _has_generation(document: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Return whether one object is shown that has a generation; it is then its ETag."""
    shown = answer.get("content", {}).get(_JSON, {}).get("schema", {}).get("$ref", "")
    return "generation" in document["components"]["schemas"].get(shown.rpartition("/")[2], {}).get("properties", {})
