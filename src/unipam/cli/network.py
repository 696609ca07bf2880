"""`unipam network`: virtual networks and hubs of the cloud as parts of blocks."""

from __future__ import annotations

import click

from unipam.cli.block import path
from unipam.cli.output import format_option, list_options, show_changed, show_list, tell_removed
from unipam.cli.register_api import Api, with_api, writing
from unipam.cli.table import View, age, column, moment, number, share

_NETWORKS = View("network", (column("name"), column("prefixes"), column("active"), column("id")), name="id")
_SUBNETS = View(
    "network-subnet",
    (
        column("name"),
        column("prefixes"),
        column("network_name", "network"),
        share("used", "size"),
        number("used"),
        number("size"),
        column("kind"),
        age("seen_on", "seen"),
        number("size_ipv6", "size6", wide=True),
        moment("seen_on"),
        column("id", wide=True),
    ),
    name="id",
)
_SEEN = View(
    "cloud-network",
    (
        column("name"),
        column("prefixes"),
        column("plan"),
        column("places", "blocks")._replace(write=lambda at: " ".join(f"{p['space']}/{p['block']}" for p in at)),
        column("overlaps"),
        column("subscription_name", "subscription"),
        column("id", wide=True),
    ),
    name="id",
)
_CLOUD = {
    "subnets": _SUBNETS._replace(schema="cloud-subnet"),
    "endpoints": View(
        "cloud-endpoint",
        tuple(map(column, ("name", "private_ip", "source", "vnet_name", "subnet_name"))),
        name="id",
    ),
    "subscriptions": View("cloud-subscription", tuple(map(column, ("name", "id", "kind"))), name="id"),
}
_PEERED = View(
    "peered-network",
    (
        column("name"),
        column("kind"),
        column("prefixes"),
        column("peerings", "with")._replace(
            write=lambda ends: " ".join(f"{p['remote'].rpartition('/')[2]} ({p['state']})" for p in ends)
        ),
    ),
    name="id",
)


@click.group("network")
def command() -> None:
    """Networks of the cloud, associated with blocks by their resource id."""


@command.command("list")
@click.argument("space")
@click.argument("block")
@with_api
@list_options
def list_(api: Api, space: str, block: str, output: str) -> None:
    """The networks of a block.

    \b
    Example:
      unipam network list prod west
    """
    show_list(lambda: api.all(f"{path(space, block)}/networks"), output, _NETWORKS, "no networks")


@command.command()
@click.argument("space")
@click.argument("block")
@click.option("--network", metavar="ID", help="Only those of this network, by its resource id.")
@click.option("--overlaps", metavar="PREFIX", help="Only those that share addresses with this prefix.")
@with_api
@list_options
def subnets(*, api: Api, space: str, block: str, network: str | None, overlaps: str | None, output: str) -> None:
    """The subnets of a block's networks, as the register saw them in the cloud.

    \b
    Example:
      unipam network subnets prod aks --overlaps 10.8.0.0/24
    """
    where, query = f"{path(space, block)}/networks/subnets", {"network": network, "overlaps": overlaps}
    show_list(lambda: api.all(where, query), output, _SUBNETS, "no subnets are seen")


@command.command()
@click.argument("space")
@click.argument("block")
@click.argument("resource_id")
@writing
@with_api
@format_option
def add(  # noqa: PLR0913 (options)
    *, api: Api, space: str, block: str, resource_id: str, dry_run: bool, reason: str, output: str
) -> None:
    """Associate a network; the register must see its cloud.

    \b
    Example:
      unipam network add prod west "$(az network vnet show -g net -n hub --query id -o tsv)"
    """
    where, query = f"{path(space, block)}/networks", {"dry_run": dry_run}
    show_changed([api.ask("POST", where, {"id": resource_id}, query=query, reason=reason)], output, _NETWORKS)


@command.command()
@click.argument("space")
@click.argument("block")
@click.argument("resource_id")
@writing
@with_api
def remove(*, api: Api, space: str, block: str, resource_id: str, dry_run: bool, reason: str) -> None:
    """Dissociate a network; its prefixes are free in the plan.

    \b
    Example:
      unipam network remove prod west "$VNET_ID" --dry-run
    """
    query = {"id": resource_id, "dry_run": dry_run}
    api.ask("DELETE", f"{path(space, block)}/networks", query=query, reason=reason)
    tell_removed()


@command.command()
@click.option("--plan", type=click.Choice(["associated", "expected", "unplanned", "apart", "gone"]), help="Only these.")
@click.option("--overlapping/--apart", default=None, help="Only those that overlap another, or only the others.")
@click.option("--space", help="Only those with addresses of this space's blocks.")
@click.option("--search", "q", metavar="TEXT", help="Only those with this text.")
@click.option("--sort", help="The member to sort by; - before it turns it round.")
@with_api
@list_options
def seen(*, api: Api, output: str, overlapping: bool | None, **wish: str | None) -> None:
    """Every network that the register sees in the cloud or has in the plan, and how both agree.

    \b
    Examples:
      unipam network seen --plan unplanned
      unipam network seen --overlapping -o json
    """
    query = {**wish, "overlapping": None if overlapping is None else str(overlapping).lower()}
    show_list(lambda: api.all("/cloud/networks", query), output, _SEEN, "no network is so")


@command.command()
@click.argument("what", type=click.Choice(list(_CLOUD)))
@click.option(
    "--orphaned/--attached", default=None, help="Of endpoints only those that lead to nothing, or the others."
)
@click.option("--search", "q", metavar="TEXT", help="Only those with this text; of endpoints also at this prefix.")
@click.option("--sort", help="The member to sort by; - before it turns it round.")
@with_api
@list_options
def cloud(*, api: Api, what: str, output: str, orphaned: bool | None, **wish: str | None) -> None:
    """What the register sees in the cloud, whatever the plan has: WHAT is subnets, endpoints or subscriptions.

    \b
    Examples:
      unipam network cloud endpoints --search 10.8.0.0/24
      unipam network cloud endpoints --orphaned
      unipam network cloud subnets --sort=-used
    """
    if orphaned is not None and what != "endpoints":
        raise click.UsageError(f"--orphaned and --attached are said of endpoints, not of {what}")
    query = {**wish, "orphaned": None if orphaned is None else str(orphaned).lower()}
    show_list(lambda: api.all(f"/cloud/{what}", query), output, _CLOUD[what], "nothing is seen")


@command.command()
@click.argument("resource_id")
@with_api
@list_options
def peerings(api: Api, resource_id: str, output: str) -> None:
    """The networks that a network is connected with by peerings, however far; itself first.

    \b
    Example:
      unipam network peerings "$VNET_ID"
    """
    show_list(lambda: api.all("/cloud/peerings", {"network": resource_id}), output, _PEERED, "it is not seen")
