"""``unipam network``: virtual networks and hubs of the cloud as parts of blocks."""

from __future__ import annotations

import click

from unipam.cli.block import path
from unipam.cli.output import format_option, show, show_changed, tell_removed, when
from unipam.cli.register_api import Api, with_api, writing


@click.group("network")
def command() -> None:
    """Networks of the cloud, associated with blocks by their resource id."""


@command.command("list")
@click.argument("space")
@click.argument("block")
@with_api
@format_option
def list_(api: Api, space: str, block: str, output: str) -> None:
    """The networks of a block.

    \b
    Example:
      unipam network list prod west
    """
    rows = api.all(f"{path(space, block)}/networks")
    flat = [{**row, "prefixes": " ".join(row["prefixes"])} for row in rows] if output == "table" else rows
    show(flat, output, ("name", "prefixes", "active", "id"), "no networks")


@command.command()
@click.argument("space")
@click.argument("block")
@click.option("--network", metavar="ID", help="Only those of this network, by its resource id.")
@click.option("--overlaps", metavar="PREFIX", help="Only those that share addresses with this prefix.")
@with_api
@format_option
def subnets(*, api: Api, space: str, block: str, network: str | None, overlaps: str | None, output: str) -> None:
    """The subnets of a block's networks, as the register saw them in the cloud.

    \b
    Example:
      unipam network subnets prod aks --overlaps 10.8.0.0/24
    """
    rows = api.all(f"{path(space, block)}/networks/subnets", {"network": network, "overlaps": overlaps})
    flat = [{**row, "prefixes": " ".join(row["prefixes"]), "seen": when(row["seen_on"])} for row in rows]
    columns = ("name", "prefixes", "size", "used", "kind", "network_name", "seen")
    show(flat if output == "table" else rows, output, columns, "no subnets are seen")


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
    show_changed([api.ask("POST", where, {"id": resource_id}, query=query, reason=reason)], output)


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
@format_option
def seen(*, api: Api, output: str, overlapping: bool | None, **wish: str | None) -> None:
    """Every network that the register sees in the cloud or has in the plan, and how both agree.

    \b
    Examples:
      unipam network seen --plan unplanned
      unipam network seen --overlapping -o json
    """
    query = {**wish, "overlapping": None if overlapping is None else str(overlapping).lower()}
    rows = api.all("/cloud/networks", query)
    flat = [
        {
            **row, "prefixes": " ".join(row["prefixes"]), "overlaps": " ".join(row["overlaps"]),
            "blocks": " ".join(f"{spot['space']}/{spot['block']}" for spot in row["places"]),
        }
        for row in rows
    ]  # fmt: skip
    columns = ("name", "prefixes", "plan", "blocks", "overlaps", "subscription_name")
    show(flat if output == "table" else rows, output, columns, "no network is so")


_LISTS = {
    "subnets": ("name", "prefixes", "used", "kind", "network_name"),
    "endpoints": ("name", "private_ip", "source", "vnet_name", "subnet_name"),
    "subscriptions": ("name", "id", "kind"),
}


@command.command()
@click.argument("what", type=click.Choice(list(_LISTS)))
@click.option("--search", "q", metavar="TEXT", help="Only those with this text.")
@click.option("--sort", help="The member to sort by; - before it turns it round.")
@with_api
@format_option
def cloud(*, api: Api, what: str, output: str, **wish: str | None) -> None:
    """What the register sees in the cloud, whatever the plan has: WHAT is subnets, endpoints or subscriptions.

    \b
    Examples:
      unipam network cloud endpoints --search 10.8.0.4
      unipam network cloud subnets --sort=-used
    """
    rows = api.all(f"/cloud/{what}", wish)
    flat = [{**row, "prefixes": " ".join(row.get("prefixes", ()))} for row in rows]
    show(flat if output == "table" else rows, output, _LISTS[what], "nothing is seen")


@command.command()
@click.argument("resource_id")
@with_api
@format_option
def peerings(api: Api, resource_id: str, output: str) -> None:
    """The networks that a network is connected with by peerings, however far; itself first.

    \b
    Example:
      unipam network peerings "$VNET_ID"
    """
    rows = api.all("/cloud/peerings", {"network": resource_id})
    flat = [
        {**row, "prefixes": " ".join(row["prefixes"]),
         "with": " ".join(f"{p['remote'].rpartition('/')[2]} ({p['state']})" for p in row["peerings"])}
        for row in rows
    ]  # fmt: skip
    show(flat if output == "table" else rows, output, ("name", "kind", "prefixes", "with"), "it is not seen")
