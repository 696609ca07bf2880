"""Request bodies of the Azure IPAM API, checked in shape; what values mean is checked beneath."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from unipam.addr.prefix import parse_address, parse_interface
from unipam.dialects.azure_ipam.patch import Operation
from unipam.server.azure_ipam.answers import Described


def _network(text: str) -> str:
    try:
        parse_interface(text)
    except ValueError:
        raise ValueError("invalid ip network format") from None
    return text


def _address(text: str) -> str:
    try:
        parse_address(text)
    except ValueError:
        raise ValueError("invalid ip address format") from None
    return text


Cidr = Annotated[str, AfterValidator(_network), Field(examples=["10.0.0.0/16", "2001:db8::/48"])]
Address = Annotated[str, AfterValidator(_address), Field(examples=["10.0.0.4"])]
Size = Annotated[int, Field(ge=0, le=128, examples=[24])]
MANY = Field(max_length=1000)
"""How long a list may be."""
Names = Annotated[list[str], MANY]


class ErrorBody(BaseModel):
    """What is said when a request is refused."""

    error: str


def refusals() -> dict[int | str, dict[str, Any]]:
    """Return the answers of every route that refuse, for its documentation."""
    return {status: {"model": ErrorBody} for status in (400, 401, 403, 404, 409, 413, 429, 503)}


class SpaceBody(Described):
    """A new space."""


class BlockBody(BaseModel):
    """A new block."""

    name: str
    cidr: Cidr


class NetworkBody(BaseModel):
    """The resource id of a network."""

    id: str


class SpaceReservationBody(BaseModel):
    """A prefix wanted from the first of some blocks that has room."""

    blocks: Names
    size: Size
    desc: str | None = None
    reverse_search: bool | None = False
    smallest_cidr: bool | None = False


def _one_of_size_and_cidr(data: Any) -> Any:
    if isinstance(data, dict):
        given = [name for name in ("cidr", "size") if data.get(name) is not None]
        if len(given) > 1:
            raise ValueError("the 'cidr' and 'size' parameters can only be used alternatively")
        if not given:
            raise ValueError("it is required to provide either the 'cidr' or 'size' parameter")
    return data


class BlockReservationBody(BaseModel):
    """A prefix wanted from a block: a named one, or any of a size."""

    size: Size | None = None
    cidr: Cidr | None = None
    desc: str | None = None
    reverse_search: bool | None = False
    smallest_cidr: bool | None = False

    @model_validator(mode="before")
    @classmethod
    def check(cls, data: Any) -> Any:
        """Require exactly one of size and cidr; how to search makes no sense with a cidr."""
        how = ("reverse_search", "smallest_cidr")
        if isinstance(data, dict) and data.get("cidr") is not None and any(word in data for word in how):
            raise ValueError("the 'cidr' parameter can only be used in conjunction with 'desc'")
        return _one_of_size_and_cidr(data)


class ExternalBody(BaseModel):
    """A new external network or subnet: a named prefix, or any of a size."""

    name: str
    desc: str | None = None
    cidr: Cidr | None = None
    size: Size | None = None

    @model_validator(mode="before")
    @classmethod
    def check(cls, data: Any) -> Any:
        """Require exactly one of size and cidr."""
        return _one_of_size_and_cidr(data)


class ExternalRowBody(Described):
    """An external network of a list that replaces the one of a block, as in v3.0 and v3.1 of the application."""

    cidr: Cidr


class EndpointBody(Described):
    """An endpoint; without an address it gets the next free one."""

    ip: Address | None


class PatchBody(BaseModel):
    """One operation of a JSON patch."""

    op: str
    path: str
    value: Any = None

    def operation(self) -> Operation:
        """Return the same as the dialect knows it."""
        return Operation(self.op, self.path, self.value)


class AdminBody(BaseModel):
    """An administrator."""

    type: Literal["User", "Principal"]
    name: Annotated[str, Field(min_length=1, max_length=256)]
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)] | None = None
    id: UUID

    @model_validator(mode="after")
    def check(self) -> AdminBody:
        """Require an e-mail address of a person, and none of a principal."""
        if self.type == "Principal" and self.email is not None:
            raise ValueError("email should not be set for 'principal' type")
        if self.type == "User" and self.email is None:
            raise ValueError("email must be set for 'user' type")
        return self


class NextNetworkBody(BaseModel):
    """Which prefix would a network get?"""

    space: str
    blocks: Names
    size: Size
    reverse_search: bool | None = False
    smallest_cidr: bool | None = False


class NextSubnetBody(BaseModel):
    """Which prefix would a subnet of a network get?"""

    vnet_id: str
    size: Size
    reverse_search: bool | None = False
    smallest_cidr: bool | None = False


class CidrCheckBody(BaseModel):
    """Which networks overlap this prefix?"""

    cidr: Cidr
