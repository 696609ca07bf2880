"""`unipam register grant`: what groups and app roles of Entra ID are good for."""

from __future__ import annotations

import click

from unipam.cli.output import format_option, list_options, show_changed, show_list, tell_removed
from unipam.cli.register_api import Api, part, with_api, writing
from unipam.cli.table import View, age, column, moment


@click.group()
def grant() -> None:
    """What groups and app roles of Entra ID may do."""


_GRANTS = View(
    "grant",
    (
        column("name"),
        column("role"),
        column("spaces"),
        column("group"),
        column("app_role"),
        age("created_on"),
        column("created_by", wide=True),
        moment("created_on"),
    ),
    name="name",
)


@grant.command("list")
@with_api
@list_options
def list_grants(api: Api, output: str) -> None:
    """The grants, by name.

    \b
    Example:
      unipam register grant list
    """
    show_list(lambda: api.all("/grants"), output, _GRANTS, "no grants")


@grant.command("add")
@click.argument("name")
@click.option("--group", metavar="ID", help="To the members of this group, by its object id.")
@click.option("--app-role", metavar="VALUE", help="To the holders of this app role, by its value.")
@click.option("--role", type=click.Choice(["reader", "planner", "admin"]), required=True)
@click.option("--space", "spaces", multiple=True, help="A space that a planner may plan, or *; repeatable.")
@writing
@with_api
@format_option
def add_grant(  # noqa: PLR0913 (options)
    *, api: Api, name: str, group: str | None, app_role: str | None, role: str, spaces: tuple[str, ...], dry_run: bool,
    reason: str, output: str,
) -> None:  # fmt: skip
    """Grant a role to a group or to an app role.

    \b
    Examples:
      unipam register grant add net-team --group 8a1f0c52-0000-4000-8000-3d5e6f708192 --role planner --space prod
      unipam register grant add operators --app-role IPAM.Admin --role admin
    """
    if bool(group) == bool(app_role):
        raise click.UsageError("give either --group or --app-role")
    to = {"group": group} if group else {"app_role": app_role}
    body = {"name": name, **to, "role": role, "spaces": list(spaces)}
    made = api.ask("POST", "/grants", body, query={"dry_run": dry_run}, reason=reason)
    show_changed([made], output, _GRANTS)


@grant.command("revoke")
@click.argument("name")
@writing
@with_api
def revoke_grant(*, api: Api, name: str, dry_run: bool, reason: str) -> None:
    """Take a grant back, by its name.

    \b
    Example:
      unipam register grant revoke net-team --reason "team dissolved"
    """
    api.ask("DELETE", f"/grants/{part(name)}", query={"dry_run": dry_run}, reason=reason)
    tell_removed()
