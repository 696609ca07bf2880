"""`unipam context`: registers by name."""

from __future__ import annotations

import click

from unipam.cli import contexts
from unipam.cli.output import list_options, show_list
from unipam.cli.table import View, column

_CONTEXTS = View(
    "context",
    (column("current"), column("name"), column("register"), column("tokens"), column("tenant", wide=True)),
    name="name",
)


@click.group("context")
def command() -> None:
    """Registers by name, so that commands find the one in use without options.

    They are kept in ~/.config/unipam/contexts.json (0600; UNIPAM_CONTEXTS names another file).
    """


@command.command()
@click.argument("name")
@click.option("--server", default="", metavar="URL", help="The register's address.")
@click.option("--database", default="", metavar="FILE|URL", help="Or its database, without a server.")
@click.option("--token-file", type=click.Path(), help="A file with the token, read anew for each command.")
@click.option("--token", envvar="UNIPAM_TOKEN", help="The token to keep (better by UNIPAM_TOKEN).")
@click.option("--keyring", is_flag=True, help="Keep tokens in the system's keyring, not in the file.")
def add(name: str, server: str, database: str, token_file: str | None, token: str | None, *, keyring: bool) -> None:
    """Add a register, or replace the one of this name. The first one is used from then on.

    \b
    Examples:
      unipam context add prod --server https://ipam.example.com
      unipam context add ci --server https://ipam.example.com --token-file /run/secrets/unipam
      unipam context add lab --server http://127.0.0.1:8080 --keyring
      unipam context add local --database register.db
    """
    if bool(server) == bool(database):
        raise click.UsageError("name the register: --server URL, or --database FILE or URL")
    if server and not server.startswith(("https://", "http://")):
        raise click.UsageError(f"--server: {server} must begin with https:// (or http:// on this machine)")
    made = contexts.Context(server, _whole(database), _whole(token_file or ""), keyring)
    with contexts.changing() as known:
        if token:
            contexts.keep(made, name, contexts.Secret(token))
        known.contexts[name] = made
        known.current = known.current or name
    click.echo(f"context {name} is {'in use' if known.current == name else 'added'}: {server or made.database}")


def _whole(place: str) -> str:
    """Return a file's path from anywhere; an address stays as it is."""
    import os

    return os.path.abspath(place) if place and "://" not in place else place


@command.command()
@click.argument("name")
def use(name: str) -> None:
    """Let commands use this register from now on.

    \b
    Example:
      unipam context use prod
    """
    with contexts.changing() as known:
        found = known.find(name)
        known.current = name
    click.echo(f"context {name} is in use: {found.server or found.database}")


@command.command("list")
@list_options
def list_(output: str) -> None:
    """The registers, and which one is in use. No token is shown.

    \b
    Example:
      unipam context list
    """
    show_list(_rows, output, _CONTEXTS, "no contexts: unipam context add")


def _rows() -> list[dict[str, object]]:
    known = contexts.load()
    return [
        {
            "current": "*" if name == known.current else "",
            "name": name,
            "register": each.server or each.database,
            "tokens": each.token_file or ("keyring" if each.keyring else "file" if each.secret.token else ""),
            "tenant": each.tenant,
        }
        for name, each in sorted(known.contexts.items())
    ]


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget a register, and its token.

    \b
    Example:
      unipam context remove lab
    """
    with contexts.changing() as known:
        contexts.forget(known.find(name), name)
        del known.contexts[name]
        known.current = "" if known.current == name else known.current
    click.echo(f"context {name} is forgotten")
