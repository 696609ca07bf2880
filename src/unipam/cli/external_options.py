"""What the commands of external networks, their subnets and endpoints share: where one is, what a new one is to be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from unipam.cli.register_api import Api, fitting, part

F = TypeVar("F", bound=Callable[..., Any])

_KINDS = ("spaces", "blocks", "externals", "subnets", "endpoints")


def at(*levels: str) -> Callable[[F], F]:
    """Gives a command an argument for each level, and in their place `where`: the path of what they name."""
    return _placed(levels, "")


def under(*levels: str) -> Callable[[F], F]:
    """As `at`, but the path of all that lies directly under it."""
    return _placed(levels, f"/{_KINDS[len(levels)]}")


def _placed(levels: Sequence[str], below: str) -> Callable[[F], F]:
    def give(command: F) -> F:
        @functools.wraps(command)
        def placed(*args: Any, **rest: Any) -> Any:
            path = [f"/{kind}/{part(rest.pop(level))}" for kind, level in zip(_KINDS, levels, strict=False)]
            return command(*args, where="".join(path) + below, **rest)

        for level in reversed(levels):
            placed = click.argument(level)(placed)
        return placed  # type: ignore[return-value]

    return give


def new_prefixes(command: F) -> F:
    """The names of new externals or subnets, and which prefixes they get."""
    options = (
        click.argument("names", nargs=-1, required=True),
        click.option("--size", type=int, help="The prefix length, for wherever one is free."),
        click.option("--prefix", "cidr", help="Exactly this prefix, for one name."),
        fitting,
        click.option("--desc", required=True, help="What they are for."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def prefix_change(command: F) -> F:
    """What may be different about an external or a subnet."""
    options = (
        click.option("--name", help="Its new name."),
        click.option("--prefix", "cidr", help="Its new prefix; what it holds must still lie within."),
        click.option("--desc", help="Its new description."),
    )
    for option in reversed(options):
        command = option(command)
    return command


overlaps_option = click.option("--overlaps", metavar="PREFIX", help="Only those that share addresses with this prefix.")


def make(api: Api, where: str, new: Sequence[dict[str, Any]], *, dry_run: bool, reason: str) -> Any:
    """Make several in one request, all or none; what was made."""
    return api.ask("POST", where, new, query={"dry_run": dry_run}, reason=reason)


def one_place(names: Sequence[str], place: str | None, option: str) -> None:
    """Raises UsageError when several are to be at one place."""
    if place is not None and len(names) > 1:
        raise click.UsageError(f"{option} {place} is one place: give it with one name, not with {', '.join(names)}")
