"""`unipam server`: the register as a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import click

from unipam.cli.numbers import Number
from unipam.cli.output import log_format_option

if TYPE_CHECKING:
    from unipam.clients.azure.settings import Settings as Azure
    from unipam.plan.cloud.port import Cloud
    from unipam.server.code_flow import Proof


@click.command("server")
@click.option("--database", envvar="UNIPAM_DATABASE", default="register.db", show_default=True, metavar="FILE|URL",
              help="An SQLite file, or postgresql://user@host/name for several servers.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--tls-certificate", default="", metavar="FILE", help="Serve HTTPS with this certificate chain (PEM).")
@click.option("--tls-key", default="", metavar="FILE", help="Its key (PEM).")
@click.option("--admin-token-file", default="", metavar="FILE",
              help="Write the first administrator's token there (0600) instead of printing it.")  # fmt: skip
@click.option("--admin-token-from", default="", metavar="FILE",
              help="Take the first administrator's token from there, as `unipam register token make` made it: a"
              " mounted secret. Not read again once there is one.")  # fmt: skip
@click.option("--tenant", default="", envvar="UNIPAM_TENANT", help="The Entra ID tenant whose members may sign in.")
@click.option("--client-id", default="", envvar="UNIPAM_CLIENT_ID", help="The application their tokens are for.")
@click.option("--authority", default="", metavar="URL", help="Entra ID's address. [default: that of the environment]")
@click.option("--members", type=click.Choice(["planner", "reader", "none"]), default="planner", show_default=True,
              help="What every member may do: reserve everywhere, only look, or nothing without a grant.")  # fmt: skip
@click.option("--failures", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="Failed sign-ins a minute from one address before it has to wait.")  # fmt: skip
@click.option(
    "--trusted-proxies",
    "proxies",
    default="127.0.0.1",
    show_default=True,
    envvar="FORWARDED_ALLOW_IPS",
    metavar="ADDRESSES",
    help="Whose X-Forwarded-For is believed: addresses and networks, a comma between.",
)
@click.option("--trust-every-proxy", "believing", is_flag=True,
              help="Believe everybody's: only where nobody but a proxy that overwrites it can connect.")  # fmt: skip
@click.option("--sync", type=Number(1, 86400), default=60.0, show_default=True, metavar="SECONDS",
              help="How often the plan follows the cloud.")  # fmt: skip
@click.option("--azure", is_flag=True,
              help="See Azure's networks: as the application, as AZURE_* tell, else as the machine.")  # fmt: skip
@click.option("--sample", is_flag=True, help="Fill an empty database with a made-up plan and cloud, to look around.")
@click.option("--ledger", default="", metavar="DIRECTORY",
              help="Show administrators the leases of the node's ledger in this data directory.")  # fmt: skip
@click.option("--azure-environment", "environment", default="AZURE_PUBLIC", show_default=True, envvar="AZURE_ENV")
@click.option("--stack", default="", envvar="UNIPAM_STACK", metavar="NAME",
              help="What /api/status calls the place it runs in. [default: found out, e.g. Kubernetes]")  # fmt: skip
@click.option("--client-secret-file", type=click.File(), help="The application's secret (or UNIPAM_CLIENT_SECRET).")
@click.option("--federated-token-file", default="", metavar="FILE",
              help="Instead of a secret: workload identity's token (or AZURE_FEDERATED_TOKEN_FILE).")  # fmt: skip
@log_format_option
def command(*, tls_certificate: str, tls_key: str, client_id: str, **given: Any) -> None:
    """Serve the address plan: the API of the Azure IPAM application, and unipam's own under /api/v1.

    The first start makes the database and an administrator's token. Documentation is at /api/docs.

    \b
    Examples:
      unipam server --database register.db --admin-token-file admin.token
      unipam server --host 0.0.0.0 --tls-certificate chain.pem --tls-key key.pem
      unipam server --database postgresql://ipam@db/ipam --tenant TENANT --client-id APPLICATION --azure
    """
    from unipam.clients.azure.settings import Settings as Azure
    from unipam.clients.azure.settings import from_environment
    from unipam.server.entra import Directory
    from unipam.server.run import Settings, run

    if given["admin_token_file"] and given["admin_token_from"]:
        raise click.UsageError("--admin-token-file writes a token and --admin-token-from reads one: choose one of them")
    if given["sample"] and given["azure"]:
        raise click.UsageError("--sample has a cloud of its own: leave --azure out")
    if bool(given["tenant"]) != bool(client_id):
        raise click.UsageError("--tenant and --client-id belong together")
    if bool(tls_certificate) != bool(tls_key):
        raise click.UsageError("--tls-certificate and --tls-key belong together")
    given["proxies"] = _proxies(given["proxies"], everybody=given.pop("believing"))
    tenant, authority, environment = given.pop("tenant"), given.pop("authority"), given["environment"]
    identity = _identity(tenant, client_id, given.pop("client_secret_file"), given.pop("federated_token_file"))
    azure = Azure(environment=environment)
    if given.pop("azure"):
        azure = from_environment(os.environ, environment=environment, **identity)
        given["cloud"] = _cloud(azure, given["sync"])
    login = azure.login  # asked for in any case: an environment that nobody knows must not pass unseen
    directory = Directory(tenant, client_id, authority.rstrip("/") or login, azure.ca_file) if tenant else None
    proof = _proof(azure, identity) if tenant else None
    members = given.pop("members")
    run(
        Settings(directory=directory, proof=proof, everybody=members, certificate=tls_certificate, key=tls_key, **given)
    )


def _proxies(text: str, *, everybody: bool) -> str:
    """Return whose X-Forwarded-For is believed. Raises BadValue: what is no address would just never be believed."""
    from unipam.model.objects import parse_place
    from unipam.server.run import EVERYBODY

    if everybody:
        return EVERYBODY
    if text.strip() == EVERYBODY:
        raise click.UsageError(
            "--trusted-proxies (FORWARDED_ALLOW_IPS) '*' lets every caller say where it comes from: name the proxies"
            " or their network, or say --trust-every-proxy if it is meant"
        )
    for each in text.split(","):
        parse_place(each.strip(), "--trusted-proxies")
    return text


def _identity(tenant: str, client_id: str, secret: IO[str] | None, token_file: str) -> dict[str, str]:
    """Return as whom Azure is looked at, as far as the options tell."""
    text = secret.read().strip() if secret else os.environ.get("UNIPAM_CLIENT_SECRET", "")
    return {"tenant": tenant, "client": client_id, "secret": text, "token_file": token_file}


def _proof(azure: Azure, identity: dict[str, str]) -> Proof | None:
    """Return how the register proves to be the application that people sign in to; None when it cannot."""
    from unipam.server.code_flow import Proof

    if azure.client == identity["client"] and (azure.secret or azure.token_file):
        return Proof(azure.secret, azure.token_file)
    known = identity["secret"] or identity["token_file"]
    return Proof(identity["secret"], identity["token_file"]) if known else None


def _cloud(azure: Azure, every: float) -> Callable[[], Cloud]:
    from unipam.server.source import connect

    return lambda: connect(azure, every)
