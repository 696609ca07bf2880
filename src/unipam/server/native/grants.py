"""Grants to groups and app roles of Entra ID by the native API; for administrators."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi.responses import Response
from pydantic import BaseModel, Field, model_validator

from unipam.plan.access import grants
from unipam.plan.access.grants import To
from unipam.plan.tree import By
from unipam.server.native import inquiries as ask
from unipam.server.native.common import Paged, Writing, page, problems, write
from unipam.server.native.models import Body, Name, Page
from unipam.server.native.operations import Answer, require_admin
from unipam.server.register import Here, Signed
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/grants", tags=["administration"])


class NewGrant(Body):
    """A grant to be: to the members of a group, by its object id, or to the holders of an app role, by its value."""

    name: Name
    group: UUID | None = None
    app_role: Annotated[str, Field(max_length=120, examples=["IPAM.Planner"])] | None = None
    role: Literal["admin", "planner", "reader"]
    spaces: list[str] = Field(default_factory=list, max_length=100)

    @model_validator(mode="after")
    def check(self) -> NewGrant:
        """Exactly one of group and app role."""
        if (self.group is None) == (self.app_role is None):
            raise ValueError("give either 'group' or 'app_role'")
        return self


class Grant(BaseModel):
    """What whoever is in a group, or holds an app role, may do."""

    name: str
    group: str | None
    app_role: str | None
    role: str
    spaces: list[str]
    created_on: float
    created_by: str


@router.get("", response_model=Page[Grant], responses=problems())
async def list_grants(register: Here, caller: Signed, paging: Paged) -> Response:
    """The grants, by name."""
    return page(await register.desk.read(ask.list_grants(caller)), paging, lambda row: str(row["name"]))


@router.post("", status_code=201, response_model=Grant, responses=problems(404, 409))
async def make_grant(register: Here, caller: Signed, terms: Writing, body: NewGrant) -> Response:
    """A new grant; what it gives adds to what its people may do anyway."""
    require_admin(caller)
    to = To(str(body.group) if body.group else None, body.app_role)

    def work(tx: Tx, by: By) -> Answer:
        made = grants.create_grant(tx, by, body.name, to, body.role, body.spaces)
        return Answer(grants.shown(tx, made), 201)

    return await write(register, caller, terms, work)


@router.delete("/{name}", status_code=204, response_class=Response, responses=problems(404))
async def drop_grant(register: Here, caller: Signed, terms: Writing, name: str) -> Response:
    """Take a grant back, by its name."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        grants.revoke_grant(tx, by, name)
        return Answer(status=204)

    return await write(register, caller, terms, work)
