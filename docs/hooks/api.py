"""The pages of the two APIs, read off the register's OpenAPI document."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from unipam.server.app import create_app
from unipam.server.register import Register

_HEAD = """\
# {title}

This page is made from the register's own description, which it serves at `/api/openapi.json`; `/api/docs` lets you try
each route. {more}
"""
_NATIVE = """Errors are problem details (RFC 9457); [Errors and their codes](errors.md) lists their types. See
[the register](../register.md#with-curl) for answers of a running register."""
_AZURE = "[The Azure IPAM API, and where unipam differs](../azure-ipam.md) says what is different from the original."


def native() -> str:
    """Return the page of unipam's own API."""
    return page("unipam", "API of unipam", _NATIVE)


def azure_ipam() -> str:
    """Return the page of the Azure IPAM application's."""
    return page("Azure IPAM application", "API of the Azure IPAM application", _AZURE)


@functools.cache
def document() -> dict[str, Any]:
    """Return the description. No register is opened for it."""

    def never() -> AbstractAsyncContextManager[Register]:
        raise AssertionError("a description is made without serving")

    return create_app(never).openapi()


def page(api: str, title: str, more: str) -> str:
    """Return the page of the API whose tags begin with this name."""
    parts = [_HEAD.format(title=title, more=more)]
    for tag in [each["name"] for each in document()["tags"] if each["name"].startswith(f"{api}: ")]:
        parts.append(f"## {tag.removeprefix(f'{api}: ').capitalize()}\n")
        parts += [operation(*each) for each in operations(tag)]
    return "\n".join([*parts, "## Types\n", *types("\n".join(parts))])


def operations(tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the operations of a tag: path, method, description."""
    for path, methods in document()["paths"].items():
        for method, found in methods.items():
            if tag in found["tags"]:
                yield path, method, found


def operation(path: str, method: str, found: Mapping[str, Any]) -> str:
    """Return the part of one operation."""
    lines = [f"### {method.upper()} {path}\n", " ".join(str(found.get("description", "")).split()) + "\n"]
    if found.get("parameters"):
        lines += ["| parameter | in | type | meaning |", "|---|---|---|---|", *map(parameter, found["parameters"]), ""]
    if body := found.get("requestBody"):
        lines.append(f"Body: {kinds(body)}\n")
    good = [f"{code} {kinds(answer)}".strip() for code, answer in found["responses"].items() if code < "400"]
    bad = [code for code in found["responses"] if code >= "400"]
    return "\n".join([*lines, f"Answers: {'; '.join(good)}. Refusals: {', '.join(bad) or 'none'}.\n"])


def parameter(found: Mapping[str, Any]) -> str:
    """Return a parameter's line of the table."""
    meaning = " ".join(str(found.get("description", "")).split()).replace("|", "\\|")
    kind = type_of(found["schema"]).replace("|", "\\|")
    return f"| `{found['name']}`{' (required)' if found['required'] else ''} | {found['in']} | {kind} | {meaning} |"


def kinds(message: Mapping[str, Any]) -> str:
    """Return the type of a body or an answer."""
    return " or ".join(dict.fromkeys(type_of(each.get("schema", {})) for each in message.get("content", {}).values()))


def type_of(schema: Mapping[str, Any]) -> str:
    """Return a schema in a word; a type of its own is a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{shown(name)}](#{name.lower()})"
    if alternatives := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(map(type_of, alternatives)))
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    return str(schema.get("type", "anything"))


def types(text: str) -> Iterator[str]:
    """Yield the parts of the types that a text links to, and of those that they link to."""
    schemas, told = document()["components"]["schemas"], dict[str, str]()
    waiting = [name for name in schemas if f"(#{name.lower()})" in text]
    while waiting:
        name = waiting.pop()
        told[name] = type_part(name, schemas[name])
        waiting += [each for each in schemas if f"(#{each.lower()})" in told[name] and each not in told]
    for name in sorted(told, key=shown):
        yield told[name]


def type_part(name: str, schema: Mapping[str, Any]) -> str:
    """Return the part of one type: its fields."""
    needed = schema.get("required", ())
    rows = [
        f"| `{field}`{' (required)' if field in needed else ''} | {type_of(each).replace('|', chr(92) + '|')} "
        f"| {' '.join(str(each.get('description', '')).split()).replace('|', chr(92) + '|')} |"
        for field, each in schema.get("properties", {}).items()
    ]
    head = f"### {shown(name)} {{ #{name.lower()} }}\n"
    table = ["| field | type | meaning |", "|---|---|---|", *rows] if rows else [type_of(schema)]
    return "\n".join([head, *([str(schema["description"]) + "\n"] if "description" in schema else ()), *table, ""])


def shown(name: str) -> str:
    """Return a type's name without the module that FastAPI puts before names that come twice."""
    return name.rpartition("__")[2]
