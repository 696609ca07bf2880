"""What the Azure IPAM API answers (spec azure-ipam-application §2), described for clients to be generated from.

The shapes themselves are made in `dialects.azure_ipam.shapes`; nothing is checked or copied on its way out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Described(BaseModel):
    """Something with a name and a description."""

    name: str
    desc: str


class VNet(BaseModel):
    """A network of a block, by reference; inactive: it was not there lately."""

    id: str
    active: bool


class Subnet(BaseModel):
    """A subnet of a network; `size` and `used` are there where `utilization` was asked for."""

    name: str
    prefix: str
    size: int | None = None
    used: int | None = None


class Network(BaseModel):
    """A network as the cloud tells of it, with the prefixes that the question is about."""

    name: str
    id: str
    prefixes: list[str]
    resource_group: str
    subscription_id: str
    tenant_id: str


class NetworkExpand(Network):
    """A network of a block; `size` and `used` are there where `utilization` was asked for."""

    subnets: list[Subnet]
    size: int | None = None
    used: int | None = None


class Endpoint(Described):
    """An endpoint of an external subnet."""

    ip: str


class ExternalSubnet(Described):
    """A subnet of an external network."""

    cidr: str
    endpoints: list[Endpoint]


class ExternalSubnetExpand(ExternalSubnet):
    """A subnet of an external network, and where it is."""

    space: str
    block: str
    external: str


class External(Described):
    """An external network."""

    cidr: str
    subnets: list[ExternalSubnet]


class ExternalExpand(External):
    """An external network, and where it is."""

    space: str
    block: str


class Reservation(BaseModel):
    """A prefix kept for a network to come, or one that was. Times in seconds since the epoch."""

    id: str
    cidr: str
    desc: str | None
    createdOn: float  # noqa: N815 (the original's names)
    createdBy: str  # noqa: N815
    settledOn: float | None  # noqa: N815
    settledBy: str | None  # noqa: N815
    status: str


class ReservationExpand(Reservation):
    """A reservation, where it is, and the tag that its network is to carry."""

    space: str
    block: str
    tag: dict[str, str]


class Block(BaseModel):
    """A block; `size` and `used` (IPv4 addresses) are there where `utilization` was asked for."""

    name: str
    cidr: str
    vnets: list[VNet | NetworkExpand]
    externals: list[External]
    resv: list[Reservation]
    size: int | None = None
    used: int | None = None


class Space(Described):
    """A space; `size` and `used` (IPv4 addresses) are there where `utilization` was asked for."""

    blocks: list[Block]
    size: int | None = None
    used: int | None = None


class Admin(BaseModel):
    """An administrator; only a person has an e-mail address."""

    type: Literal["User", "Principal"]
    name: str
    email: str | None
    id: str


class User(BaseModel):
    """Somebody's settings; `apiRefresh` in minutes, `views` where `expand` was asked for."""

    id: str
    darkMode: bool  # noqa: N815
    apiRefresh: int  # noqa: N815
    isAdmin: bool  # noqa: N815
    views: dict[str, object] | None = None


class Container(BaseModel):
    """A block that a network is associated with."""

    space: str
    block: str


class NextNetwork(Container):
    """The prefix that a network would get."""

    cidr: str


class NextSubnet(BaseModel):
    """The prefix that a subnet would get."""

    vnet_name: str
    resource_group: str
    subscription_id: str
    cidr: str


class Overlapping(Network):
    """A network that overlaps a prefix, and the blocks it is in."""

    containers: list[Container]


class Image(BaseModel):
    """What the image that the register runs from is built on (os-release(5))."""

    image_id: str
    image_version: str
    image_codename: str
    image_pretty_name: str


class Status(BaseModel):
    """That the register answers, and where it runs; `container` only where it runs from an image."""

    status: str
    version: str
    stack: str = Field(examples=["AppContainer", "Kubernetes", "Process"])
    environment: str = Field(examples=["AZURE_PUBLIC"])
    container: Image | None = None
