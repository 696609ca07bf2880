"""`unipam login`: a person signs in with Entra ID, and the context in use keeps the token."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from unipam.cli import contexts

if TYPE_CHECKING:
    from unipam.clients.entra import Application, Tokens


@click.command("login")
@click.option("--context", "name", envvar="UNIPAM_CONTEXT", help="The context to sign in to. [default: the one in use]")
@click.option("--device-code", is_flag=True, help="Show a code to type on another device, as where no browser is.")
@click.option("--tenant", envvar="UNIPAM_TENANT", help="The Entra ID tenant; kept in the context.")
@click.option("--client-id", envvar="UNIPAM_CLIENT_ID", help="The register's application in it; kept in the context.")
@click.option("--authority", metavar="URL", help="Entra ID's address; kept in the context. [default: the public one]")
def command(name: str | None, *, device_code: bool, **where: str | None) -> None:
    """Sign in to a register with Entra ID, through the browser or by a code.

    The application must allow public client flows, with http://localhost as a redirect address of its mobile and
    desktop platform. The token is renewed by itself as long as the tenant allows it.

    \b
    Examples:
      unipam login --tenant contoso.example.com --client-id 8a1f0c52-0000-4000-8000-3d5e6f708192
      unipam login --context prod --device-code
      unipam login --authority https://login.microsoftonline.us
    """
    from unipam.clients import entra

    known = contexts.load()
    name = name or known.current
    if not name:
        raise click.UsageError("no context is in use: unipam context add NAME --server URL")
    context = _told(known.find(name), **where)
    application = contexts.application(context)
    tokens = _by_code(application) if device_code else entra.sign_in_by_browser(application, _open)
    with contexts.changing() as known:
        contexts.keep(context, name, contexts.Secret(tokens.access, tokens.expires_on, tokens.refresh))
        known.contexts[name] = context
    click.echo(f"signed in to {name}")


def _told(context: contexts.Context, tenant: str | None, client_id: str | None, authority: str | None) -> (
    contexts.Context
):  # fmt: skip
    """Return the context with what was told of the tenant."""
    import msgspec

    told = {"tenant": tenant, "client": client_id, "authority": authority}
    context = msgspec.structs.replace(context, token_file="", **{k: v for k, v in told.items() if v})
    if not context.tenant or not context.client:
        raise click.UsageError("who signs you in? --tenant TENANT --client-id APPLICATION (once; they are kept)")
    return context


def _by_code(application: Application) -> Tokens:
    from unipam.clients import entra

    device = entra.begin_device(application)
    click.echo(device.message, err=True)
    return entra.finish_device(application, device)


def _open(url: str) -> None:
    """Open an address in the browser, and say it, for who has none."""
    import threading
    import webbrowser

    print(f"sign in at {url}", file=sys.stderr, flush=True)
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()  # one in a terminal waits for its user
