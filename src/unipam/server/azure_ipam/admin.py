"""Administrators, excluded subscriptions and personal settings in the Azure IPAM API (spec §1.8, §2.6)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.errors import BadValue
from unipam.plan.access import callers as access
from unipam.plan.access.callers import Admin, Caller
from unipam.plan.permissions import UseCase
from unipam.plan.tree import Author
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import MANY, AdminBody, PatchBody
from unipam.server.azure_ipam.replies import do, do_quietly, error_words, show
from unipam.server.register import Session, SessionDep
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router()

Admins = Annotated[list[AdminBody], MANY]
Subscriptions = Annotated[list[uuid.UUID], MANY]


def _admin(body: AdminBody) -> Admin:
    return Admin(body.type, body.name, str(body.id), body.email)


@router.get("/admin/admins", tags=["admin"], response_model=list[a.Admin])
async def get_admins(session: SessionDep) -> Response:
    """The administrators."""
    session.require(UseCase.LIST_ADMINS)
    return await show(session, lambda tx: [shapes.admin(each) for each in access.admins(tx)])


@router.post("/admin/admins", status_code=201, tags=["admin"], response_class=Response)
@error_words(m.ADMIN)
async def create_admin(session: SessionDep, body: AdminBody) -> Response:
    """One administrator more."""
    session.require(UseCase.CHANGE_ADMINS)
    return await do_quietly(session, lambda tx, by: access.add_admin(tx, by, _admin(body)), 201)


@router.put("/admin/admins", tags=["admin"], response_class=Response)
@error_words(m.ADMINS_REPLACE)
async def replace_admins(session: SessionDep, body: Admins) -> Response:
    """Exactly these are administrators from now on."""
    session.require(UseCase.CHANGE_ADMINS)
    wanted = [_admin(each) for each in body]
    return await do_quietly(session, lambda tx, by: access.replace_admins(tx, by, wanted))


@router.get("/admin/admins/{object_id}", tags=["admin"], response_model=a.Admin)
@error_words(m.ADMIN_GET)
async def get_admin(session: SessionDep, object_id: uuid.UUID) -> Response:
    """One administrator."""
    session.require(UseCase.LIST_ADMINS)
    return await show(session, lambda tx: shapes.admin(access.find_admin(tx, str(object_id))))


@router.delete("/admin/admins/{object_id}", tags=["admin"], response_class=Response)
@error_words(m.ADMIN_REMOVE)
async def delete_admin(session: SessionDep, object_id: uuid.UUID) -> Response:
    """One administrator less."""
    session.require(UseCase.CHANGE_ADMINS)
    return await do_quietly(session, lambda tx, by: access.remove_admin(tx, by, str(object_id)))


@router.get("/admin/exclusions", tags=["admin"], response_model=list[str])
async def get_exclusions(session: SessionDep) -> Response:
    """The excluded subscriptions."""
    session.require(UseCase.LIST_EXCLUSIONS)
    return await show(session, access.exclusions)


async def _known(session: Session, body: Sequence[uuid.UUID]) -> list[str]:
    """Return the subscriptions, if all are seen or excluded already. Raises BadValue."""
    wanted = [str(each) for each in body]
    snapshot, there = await session.register.snapshot(), await session.read(access.exclusions)
    unknown = [each for each in wanted if each not in there and not snapshot.sees(each)]
    if unknown:
        raise BadValue("One or more invalid subscriptions id's provided.", field="subscription", value=unknown)
    return wanted


async def _exclude(session: Session, body: Sequence[uuid.UUID], replace: bool) -> Response:
    session.require(UseCase.CHANGE_EXCLUSIONS)
    wanted = await _known(session, body)
    return await do_quietly(session, lambda tx, by: access.exclude(tx, by, wanted, replace=replace))


@router.post("/admin/exclusions", tags=["admin"], response_class=Response)
async def add_exclusions(session: SessionDep, body: Subscriptions) -> Response:
    """Exclude these subscriptions too."""
    return await _exclude(session, body, replace=False)


@router.put("/admin/exclusions", tags=["admin"], response_class=Response)
async def replace_exclusions(session: SessionDep, body: Subscriptions) -> Response:
    """Exclude exactly these subscriptions."""
    return await _exclude(session, body, replace=True)


@router.delete("/admin/exclusions/{subscription_id}", tags=["admin"], response_class=Response)
@error_words(m.EXCLUSION_REMOVE)
async def delete_exclusion(session: SessionDep, subscription_id: str) -> Response:
    """Show a subscription again."""
    session.require(UseCase.CHANGE_EXCLUSIONS)
    try:
        known = str(uuid.UUID(subscription_id))
    except ValueError:
        raise BadValue("Invalid subscription id.", field="subscription", value=subscription_id) from None
    return await do_quietly(session, lambda tx, by: access.include(tx, by, known))


def _person(caller: Caller) -> str:
    """Return the caller as the UUID that the original's shape asks for; a local token has one made from its id."""
    try:
        return str(uuid.UUID(caller.subject))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, caller.subject))


@router.get("/users", tags=["users"], response_model=list[a.User])
async def get_users(session: SessionDep) -> Response:
    """The settings of everybody who chose some (none yet is an empty list, D20)."""
    session.require(UseCase.LIST_SETTINGS)
    return await show(
        session, lambda tx: [shapes.user(each, access.is_admin(tx, each.id)) for each in access.all_settings(tx)]
    )


@router.get("/users/me", tags=["users"], response_model=a.User)
async def get_me(session: SessionDep, expand: bool = False) -> Response:
    """The caller's own settings."""
    return await show(
        session, lambda tx: shapes.user(access.settings(tx, _person(session.caller)), session.caller.admin, expand)
    )


@router.patch("/users/me", tags=["users"], response_model=a.User)
@error_words(m.USER_CHANGE)
async def update_me(session: SessionDep, body: list[PatchBody]) -> Response:
    """Change the caller's own settings; other paths than its own are ignored."""

    def work(tx: Tx, _: Author) -> shapes.Shape:
        chosen = access.settings(tx, _person(session.caller))
        for each in body:
            chosen = _changed(chosen, each)
        access.set_settings(tx, chosen)
        return shapes.user(chosen, session.caller.admin)

    return await do(session, work)


def _changed(chosen: access.UserSettings, each: PatchBody) -> access.UserSettings:
    if each.op == "replace" and each.path == "/apiRefresh":
        if type(each.value) is not int:
            raise BadValue("apiRefresh: must be a number of minutes", field="apiRefresh")
        return msgspec.structs.replace(chosen, api_refresh=each.value)
    if each.op == "replace" and each.path == "/darkMode":
        return msgspec.structs.replace(chosen, dark_mode=_flag(each.value))
    if each.op in ("add", "replace") and each.path.startswith("/views/"):
        view = each.path.removeprefix("/views/")
        return msgspec.structs.replace(chosen, views={**chosen.views, view: _view(each.value)})
    return chosen


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise BadValue("darkMode: must be true or false", field="darkMode")


class _Sort(msgspec.Struct):
    name: str
    dir: int
    type: str


class _Column(msgspec.Struct, omit_defaults=True):
    flex: float | None = None
    visible: bool | None = None


class _View(msgspec.Struct):
    values: dict[str, _Column]
    order: list[str]
    sort: _Sort | None = None


def _view(value: Any) -> object:
    try:
        return msgspec.to_builtins(msgspec.convert(value, _View))
    except msgspec.ValidationError as error:
        raise BadValue(f"views: {error}", field="views") from None
