"""The lines that pages offer for a shell: what asks for the same without a browser. They hold what somebody typed, or
what a link brought along, so each word is quoted.
"""

from __future__ import annotations

import shlex

import msgspec


def command(*words: str, **options: object) -> str:
    """Return a command line, without `unipam`: the words that are not empty, and the options that have a value."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value not in (None, "")]
    return shlex.join([*filter(None, words), *given])


def json_of(body: object) -> str:
    """Return the words of curl that send something as JSON."""
    return f"-H 'Content-Type: application/json' -d {shlex.quote(msgspec.json.encode(body).decode())}"


def curl(address: str, sends: str = "") -> str:
    """Return the line that asks an address of the API; `sends` are the further words of one that is sent something."""
    words = f'curl -H "Authorization: Bearer $UNIPAM_TOKEN" {sends}'.rstrip()
    quoted = address.replace("'", "%27")
    return f"{words} '{quoted}'"
