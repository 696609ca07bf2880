"""Shapes of external networks, their subnets and endpoints in the native API; see `models`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from unipam.server.native.models import BlockChange, Body, Cidr, Name, Size, Text, Utilisation

Ip = Annotated[str, Field(max_length=64, examples=["10.0.0.4"])]


class NewExternal(Body):
    """An external network, or a subnet of one, to be: at `cidr`, or wherever a prefix of `size` is free."""

    name: Name
    desc: Text
    cidr: Cidr | None = None
    size: Size | None = None
    reverse: bool = False
    smallest: bool = False

    @model_validator(mode="after")
    def check(self) -> NewExternal:
        """Require exactly one of size and cidr."""
        if (self.cidr is None) == (self.size is None):
            raise ValueError("give either 'size' or 'cidr'")
        return self


class ExternalChange(BlockChange):
    """What is to be different about an external network, or a subnet of one."""


class NewEndpoint(Body):
    """An endpoint to be: at `ip`, or at the lowest host address that is free."""

    name: Name
    desc: Text
    ip: Ip | None = None


class EndpointChange(Body):
    """What is to be different about an endpoint."""

    name: Name | None = None
    ip: Ip | None = None
    desc: Text | None = None


class External(BaseModel):
    """A network that no cloud tells of; `utilisation` only where it was asked for."""

    space: str
    block: str
    name: str
    cidr: str
    desc: str
    generation: int
    utilisation: Utilisation | None = None


class ExternalSubnet(External):
    """A subnet of an external network."""

    external: str


class ExternalEndpoint(BaseModel):
    """One address of an external subnet that something uses."""

    space: str
    block: str
    external: str
    subnet: str
    name: str
    ip: str
    desc: str
    generation: int


class FreeAddress(BaseModel):
    """A free address, and why it is this one."""

    ip: str
    reason: str


class FreeAddresses(BaseModel):
    """The addresses that endpoints would get next."""

    candidates: list[FreeAddress]
