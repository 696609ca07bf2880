"""The native API without HTTP: what commands on a local database ask most, answered without loading a web framework.

Spaces, blocks and reservations, what the plan is and was, with the same documents and refusals as over HTTP; whatever
else there is must be asked of the application (`server.local`). Whoever may open the database may do everything in it.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote

import msgspec

from unipam.model import objects
from unipam.model.cloud import Snapshot
from unipam.model.errors import UnipamError
from unipam.plan.access.callers import Caller
from unipam.plan.branches import DEEPEST, Filter
from unipam.plan.forecast import FARTHEST, YEAR, Period
from unipam.plan.listing import Wish
from unipam.plan.open import open_store
from unipam.plan.parts import Paging, part_of
from unipam.plan.permissions import Visibility
from unipam.plan.tree import Author, Plan, require_reason
from unipam.server.native import operations as op
from unipam.server.native.refusals import MISSHAPEN, document_of, document_of_shape, encode
from unipam.server.statuses import status_of
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.addr.prefix import Prefix
    from unipam.server.native import access_operations as access
    from unipam.server.native import inquiries as ask
    from unipam.server.native import listings, planning, reserving
    from unipam.server.native import network_operations as networks
else:

    class _LazyModule:
        """A module that is imported when something of it is wanted: a listing needs few."""

        def __init__(self, name: str) -> None:
            self._name = f"unipam.server.native.{name}"

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._name), name)

    ask, planning, reserving = _LazyModule("inquiries"), _LazyModule("planning"), _LazyModule("reserving")
    access, networks = _LazyModule("access_operations"), _LazyModule("network_operations")
    listings = _LazyModule("listings")

BASE = "/api/v1/"

Reply = tuple[int, bytes]
"""Status and body of an answer."""


class _Misshapen(Exception):
    """A body of the wrong shape: where, why, and of what kind."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(rows)
        self.rows = rows


class LocalRequest(NamedTuple):
    """One request: by whom and when, the names in its path, its query, its body."""

    caller: Caller
    by: Author
    now: float
    names: list[str]
    query: Mapping[str, list[str]]
    body: bytes

    def text(self, name: str) -> str | None:
        """Return a value of the query; None where there is none."""
        return self.query[name][0] if name in self.query else None

    def flag(self, name: str) -> bool:
        """Return whether something is wanted."""
        return self.text(name) == "true"

    def place(self, name: str) -> Prefix | None:
        """Return a prefix or address of the query. Raises BadValue."""
        text = self.text(name)
        return None if text is None else objects.parse_place(text, name)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number of the query, within its bounds."""
        value = float(self.text(name) or default)
        if not least <= value <= most:
            why = f"Input should be from {least:g} to {most:g}"
            raise _Misshapen([{"loc": ["query", name], "msg": why, "type": "out_of_bounds"}])
        return value

    @property
    def limit(self) -> int:
        """Return how many rows are wanted."""
        return int(self.number("limit", 100, 1, op.MOST_ITEMS))

    @property
    def visibility(self) -> Visibility:
        """Return which networks the caller may know of."""
        return Visibility(self.caller)

    def parse(self, shape: str) -> Any:
        """Return the body as the API's model of this name."""
        from pydantic import ValidationError  # it takes its time, and a listing needs none of it

        from unipam.server.native import models

        try:
            return getattr(models, shape).model_validate(json.loads(self.body))
        except ValidationError as error:
            rows = [{"loc": ["body", *map(str, e["loc"])], "msg": e["msg"], "type": e["type"]} for e in error.errors()]
            raise _Misshapen(rows) from None


def _wish(asked: LocalRequest) -> Wish:
    given = {name: asked.text(name) or "" for name in ("kind", "space", "block", "status", "after")}
    return Wish(**given, text=asked.text("q") or "", sort=asked.text("sort") or "cidr", limit=asked.limit)


def _branches(asked: LocalRequest) -> listings.Asked:
    least, most = int(asked.number("min", 0, 0, 128)), int(asked.number("max", 128, 0, 128))
    size = int(asked.number("size", 0, 0, 128)) if asked.text("size") else None
    wanted = Filter(asked.text("show") or "both", least, most, size, asked.text("after") or "", asked.limit)
    at = asked.number("at", 0, 0, sys.float_info.max) if asked.text("at") else None
    return listings.Asked(asked.text("under") or "", wanted, int(asked.number("depth", 1, 1, DEEPEST)), at)


def _period(asked: LocalRequest) -> Period:
    return Period(asked.now, int(asked.number("horizon", YEAR, 1, FARTHEST)))


_Answer = Callable[[Plan, LocalRequest], Reply]


def _list(choose: Callable[[LocalRequest], op.List], name: str = "name") -> _Answer:
    def answer(plan: Plan, asked: LocalRequest) -> Reply:
        paging = Paging(asked.limit, asked.text("after") or "", asked.text("q") or "", asked.text("sort") or "")
        part = part_of(plan.read(choose(asked)), paging, name)
        return 200, msgspec.json.encode(part)

    return answer


def _read(choose: Callable[[LocalRequest], Callable[[Tx], Any]]) -> _Answer:
    return lambda plan, asked: (200, msgspec.json.encode(plan.read(choose(asked))))


def _write(choose: Callable[[LocalRequest], op.Write], *, frees: bool = False) -> _Answer:
    def answer(plan: Plan, asked: LocalRequest) -> Reply:
        done = plan.write(choose(asked), asked.by, rehearse=asked.flag("dry_run"), frees=frees)
        return done.status, b"" if done.content is None else msgspec.json.encode(done.content)

    return answer


_free = partial(_write, frees=True)

_ANSWERS: dict[str, _Answer] = {
    "GET spaces": _list(lambda a: planning.list_spaces(utilisation=a.flag("utilisation"))),
    "POST spaces": _write(lambda a: planning.make_space(a.caller, a.parse("NewSpace"))),
    "GET spaces/*": _read(lambda a: planning.read_space(*a.names)),
    "PATCH spaces/*": _write(lambda a: planning.change_space(a.caller, a.names[0], a.parse("SpaceChange"))),
    "DELETE spaces/*": _free(lambda a: planning.remove_space(a.caller, a.names[0], force=a.flag("force"))),
    "GET spaces/*/utilisation": _read(lambda a: planning.use_of_space(*a.names)),
    "GET spaces/*/blocks": _list(
        lambda a: planning.list_blocks(
            a.names[0], a.place("overlaps"), a.text("parent"), utilisation=a.flag("utilisation")
        )
    ),
    "POST spaces/*/blocks": _write(lambda a: planning.make_block(a.caller, a.names[0], a.parse("NewBlock"))),
    "GET spaces/*/blocks/*": _read(lambda a: planning.read_block(*a.names)),
    "PATCH spaces/*/blocks/*": _write(
        lambda a: planning.change_block(a.caller, a.names[0], a.names[1], a.parse("BlockChange"))
    ),
    "DELETE spaces/*/blocks/*": _free(
        lambda a: planning.remove_block(a.caller, a.names[0], a.names[1], force=a.flag("force"))
    ),
    "GET spaces/*/blocks/*/utilisation": _read(lambda a: planning.use_of_block(*a.names)),
    "GET spaces/*/forecast": _read(lambda a: ask.forecast_of_space(_period(a), *a.names)),
    "GET spaces/*/blocks/*/forecast": _read(lambda a: ask.forecast_of_block(_period(a), *a.names)),
    "GET forecast": _list(lambda a: ask.forecasts(_period(a), a.text("space") or "")),
    "GET spaces/*/reservations": _list(
        lambda a: reserving.list_reservations(a.names[0], a.text("block"), a.text("status"), settled=a.flag("settled")),
        "id",
    ),
    "POST spaces/*/reservations": _write(
        lambda a: reserving.reserve(reserving.wanted(a.caller, a.by, a.names[0], a.parse("NewReservations"), a.now))
    ),
    "GET spaces/*/blocks/*/reservations/*": _read(lambda a: reserving.read_reservation(*a.names)),
    "DELETE spaces/*/blocks/*/reservations": _free(
        lambda a: reserving.cancel(a.caller, a.names[0], a.names[1], a.query.get("id", []))
    ),
    "DELETE spaces/*/blocks/*/reservations/*": _free(
        lambda a: reserving.cancel(a.caller, a.names[0], a.names[1], a.names[2:])
    ),
    "GET spaces/*/blocks/*/networks": _list(
        lambda a: networks.list_networks(a.visibility, a.names[0], a.names[1]), "id"
    ),
    "GET objects": _read(lambda a: listings.list_objects(a.visibility, _wish(a))),
    "GET tree": _read(lambda a: listings.list_branches(a.visibility, Snapshot(), _branches(a))),
    "GET tokens": _list(lambda a: access.list_tokens(a.caller), "id"),
    "GET grants": _list(lambda a: access.list_grants(a.caller)),
    "GET explain": _read(
        lambda a: ask.explain(a.visibility, objects.parse_place(a.text("cidr") or ""), a.text("space"))
    ),
    "GET history": _read(lambda a: ask.history(a.visibility, a.place("cidr"), a.text("name") or "", a.limit)),
    "GET plan": _read(lambda a: ask.plan_then(a.visibility, a.number("at", 0, 0, sys.float_info.max))),
}
"""What is answered here, by method and path; a star is a name."""


class Direct:
    """A database on which a caller of this name works as its administrator. It is opened when first needed."""

    def __init__(self, database: str, name: str) -> None:
        self._database = database
        self._caller = Caller(name, name, admin=True)
        self._plan: Plan | None = None

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply | None:
        """Answer one request; None: it is the application's to answer."""
        target, _, query = path.partition("?")
        parts = target.removeprefix(BASE).split("/")
        template = "/".join("*" if place % 2 else part for place, part in enumerate(parts))
        answer = _ANSWERS.get(f"{method} {template}") if target.startswith(BASE) else None
        if answer is None:
            return None
        by, names = self._caller.author(reason=headers.get("X-Reason", "")), list(map(unquote, parts[1::2]))
        try:
            require_reason(by.reason)
            plan = self._opened()
            return answer(plan, LocalRequest(self._caller, by, plan.clock(), names, parse_qs(query), body))
        except UnipamError as error:
            return status_of(error), encode(document_of(error, unquote(target)))
        except _Misshapen as error:
            return MISSHAPEN, encode(document_of_shape(error.rows))

    def close(self) -> None:
        """Let go of the database."""
        if self._plan is not None:
            self._plan.store.close()

    def _opened(self) -> Plan:
        if self._plan is None:
            self._plan = Plan(open_store(self._database))
        return self._plan
