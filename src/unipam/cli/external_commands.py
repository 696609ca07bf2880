"""The commands of external networks, their subnets and endpoints, which are alike but for their help."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from unipam.cli.block import USE
from unipam.cli.output import format_option, list_options, show, show_changed, show_list, tell_removed
from unipam.cli.register_api import Api, fitting, length_option, part, with_api, writing
from unipam.cli.table import View, column, number

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[Any], Any]

_KINDS = ("spaces", "blocks", "externals", "subnets", "endpoints")


def at(*levels: str) -> Callable[[F], F]:
    """Gives a command an argument for each level, and in their place `where`: the path of what they name."""
    return _placed(levels, "")


def under(*levels: str) -> Callable[[F], F]:
    """Do as `at`, but with the path of all that lies directly under it."""
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


def _all_of(*options: Option) -> Option:
    """Return several options as one."""

    def give(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return give


new_prefixes = _all_of(
    click.argument("names", nargs=-1, required=True),
    length_option(more="; for wherever one is free"),
    click.option("--prefix", "cidr", help="Exactly this prefix, for one name."),
    fitting,
    click.option("--desc", required=True, help="What they are for."),
)
prefix_change = _all_of(
    click.option("--name", help="Its new name."),
    click.option("--prefix", "cidr", help="Its new prefix; what it holds must still lie within."),
    click.option("--desc", help="Its new description."),
)
new_addresses = _all_of(
    click.argument("names", nargs=-1, required=True),
    click.option("--ip", help="Exactly this address, for one name.  [default: the lowest free ones]"),
    click.option("--desc", required=True, help="What they are for."),
)
address_change = _all_of(
    click.option("--name", help="Its new name."),
    click.option("--ip", help="Its new address."),
    click.option("--desc", help="Its new description."),
)
overlaps_option = click.option("--overlaps", metavar="PREFIX", help="Only those that share addresses with this prefix.")


_VIEWS = {
    depth: View(schema, (column("name"), column(place), number("generation", wide=True), column("desc")), name="name")
    for depth, schema, place in (
        (3, "external", "cidr"),
        (4, "external-subnet", "cidr"),
        (5, "external-endpoint", "ip"),
    )
}
"""How what so many levels name is shown."""


def listing(*levels: str, empty: str) -> Option:
    """Make of a function's help the command that lists what lies under `levels`."""
    view = _VIEWS[len(levels) + 1]
    has_use = len(levels) < 4
    if has_use:
        view = view._replace(columns=(*view.columns[:2], *USE, *view.columns[2:]))

    def run(api: Api, where: str, overlaps: str | None, output: str) -> None:
        query = {"overlaps": overlaps, "utilisation": has_use}
        show_list(lambda: api.all(where, query), output, view, empty)

    return _command(run, under(*levels), overlaps_option, with_api, list_options)


def adding(*levels: str, options: Option) -> Option:
    """Make of a function's help the command that makes several under `levels` in one request, all or none."""

    def run(
        *, api: Api, where: str, names: tuple[str, ...], output: str, dry_run: bool, reason: str, **wish: Any
    ) -> None:
        for option, place in (("--prefix", wish.get("cidr")), ("--ip", wish.get("ip"))):
            if place is not None and len(names) > 1:
                others = f"give it with one name, not with {', '.join(names)}"
                raise click.UsageError(f"{option} {place} is one place: {others}")
        new = [{"name": name, **wish} for name in names]
        made = api.ask("POST", where, new, query={"dry_run": dry_run}, reason=reason)
        show_changed(made, output, _VIEWS[len(levels) + 1])

    return _command(run, under(*levels), options, writing, with_api, format_option)


def showing(*levels: str) -> Option:
    """Make of a function's help the command that shows what the levels name."""
    return _command(
        lambda api, where, output: show([api.ask("GET", where)], output, _VIEWS[len(levels)]),
        at(*levels),
        with_api,
        format_option,
    )


def changing(*levels: str, options: Option) -> Option:
    """Make of a function's help the command that changes what the levels name."""

    def run(*, api: Api, where: str, output: str, dry_run: bool, reason: str, **wish: Any) -> None:
        changed = api.ask("PATCH", where, wish, query={"dry_run": dry_run}, reason=reason)
        show_changed([changed], output, _VIEWS[len(levels)])

    return _command(run, at(*levels), options, writing, with_api, format_option)


def removing(*levels: str, force: str = "") -> Option:
    """Make of a function's help the command that removes what the levels name; `force` is the help of that option."""

    def run(*, api: Api, where: str, dry_run: bool, reason: str, **force: bool) -> None:
        api.ask("DELETE", where, query={**force, "dry_run": dry_run}, reason=reason)
        tell_removed()

    forcing = [click.option("--force", is_flag=True, help=force)] if force else []
    return _command(run, at(*levels), *forcing, writing, with_api)


def _command(run: Callable[..., None], *options: Option) -> Option:
    return lambda command: _all_of(*options)(functools.update_wrapper(run, command))
