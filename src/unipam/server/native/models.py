"""Shapes of the native API: what comes in, checked; what goes out, described for clients to be generated from."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unipam.plan.access.preferences import LISTS

T = TypeVar("T")

Cidr = Annotated[str, Field(max_length=64, examples=["10.0.0.0/16"])]
Size = Annotated[int, Field(ge=0, le=128, description="A prefix length, as written in the block's family.")]
Name = Annotated[str, Field(min_length=1, max_length=64, examples=["production"])]
Text = Annotated[str, Field(max_length=128)]


class Body(BaseModel):
    """A request body; what it does not know is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid")


class NewSpace(Body):
    """A space to be."""

    name: Name
    desc: Text


class SpaceChange(Body):
    """What is to be different about a space."""

    name: Name | None = None
    desc: Text | None = None


class NewBlock(Body):
    """A block to be; inside another one when `parent` names it."""

    name: Name
    cidr: Cidr
    parent: str | None = None
    desc: Text = ""


class BlockChange(Body):
    """What is to be different about a block."""

    name: Name | None = None
    cidr: Cidr | None = None
    desc: Text | None = None


class NewReservations(Body):
    """Prefixes wanted, all or none: either `cidr`, or `count` prefixes of `size` from the first block with room."""

    blocks: Annotated[list[str], Field(min_length=1, max_length=100)]
    cidr: Cidr | None = None
    size: Size | None = None
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    desc: Annotated[str, Field(max_length=256)] | None = None
    reverse: bool = False
    smallest: bool = False
    expires_in: Annotated[float, Field(gt=0, le=3.2e9, description="Seconds.", allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def check(self) -> NewReservations:
        """Require exactly one of size and cidr; a cidr is one prefix of one block."""
        if (self.cidr is None) == (self.size is None):
            raise ValueError("give either 'size' or 'cidr'")
        if self.cidr is not None and (self.count != 1 or len(self.blocks) != 1):
            raise ValueError("a 'cidr' is one prefix of one block")
        return self


class NetworkId(Body):
    """The resource id of a network."""

    id: Annotated[str, Field(min_length=1, max_length=2048)]


class NewToken(Body):
    """A local API token to be."""

    name: Name
    role: Literal["admin", "planner", "reader"]
    spaces: Annotated[list[str], Field(max_length=100)] = []
    expires_in: Annotated[float, Field(gt=0, le=3.2e9, description="Seconds.", allow_inf_nan=False)] | None = None


class Page(BaseModel, Generic[T]):
    """Part of a listing; `next` is the `after` of the next part, null at the end; `total` counts the whole listing."""

    items: list[T]
    next: str | None
    total: int


class Utilisation(BaseModel):
    """How full it is, in addresses. Reservations reserve; whatever else it holds uses."""

    size: int
    used: int
    reserved: int
    free: int


class SpaceUtilisation(Utilisation):
    """How full a space's blocks are, in IPv4 addresses; and in those of `ipv6`, which no sum mixes with them."""

    ipv6: Utilisation


class Space(BaseModel):
    """A space; `utilisation` only where it was asked for."""

    name: str
    desc: str
    generation: int
    utilisation: SpaceUtilisation | None = None


class Block(BaseModel):
    """A block; `parent` is the block around it, `utilisation` is there only where it was asked for."""

    space: str
    name: str
    cidr: str
    desc: str
    parent: str | None
    generation: int
    utilisation: Utilisation | None = None


class Reservation(BaseModel):
    """A prefix kept for a network to come, or one that was. Times in seconds since the epoch."""

    id: str
    space: str
    block: str
    cidr: str
    desc: str | None
    status: str
    created_on: float
    created_by: str
    settled_on: float | None
    settled_by: str | None
    expires_on: float | None
    generation: int
    tag: dict[str, str]


class Network(BaseModel):
    """An associated network and the prefixes that it holds in the block; inactive: it was not there lately."""

    id: str
    name: str
    prefixes: list[str]
    active: bool


class Candidate(BaseModel):
    """A free prefix, and why it is this one."""

    cidr: str
    reason: str


class Available(BaseModel):
    """What would be given next, and, where asked for, what is free altogether: the largest first, at most 100."""

    candidates: list[Candidate]
    free: list[str]


class Entry(BaseModel):
    """A line of the journal."""

    number: int
    at: float
    verb: str
    cidr: str
    holder: str
    actor: str
    reason: str
    details: str


class Held(BaseModel):
    """An object that has to do with a prefix: it contains it, is it, or lies within it."""

    kind: str
    name: str
    cidr: str
    path: list[str]
    relation: str
    since: float
    state: str


class Token(BaseModel):
    """A local token, without its secret."""

    id: str
    name: str
    role: str
    spaces: list[str]
    created_on: float
    created_by: str
    expires_on: float | None


class FreshToken(Token):
    """A local token with its secret, which is shown this once."""

    token: str


class NewGrant(Body):
    """A grant to be: to the members of a group, by its object id, or to the holders of an app role, by its value."""

    name: Name
    group: UUID | None = None
    app_role: Annotated[str, Field(max_length=120, examples=["IPAM.Planner"])] | None = None
    role: Literal["admin", "planner", "reader"]
    spaces: list[str] = Field(default_factory=list, max_length=100)

    @model_validator(mode="after")
    def check(self) -> NewGrant:
        """Require exactly one of group and app role."""
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


class Finding(BaseModel):
    """A difference between the plan and the cloud."""

    number: str
    rule: str
    severity: str
    space: str
    block: str
    subject: str
    prefixes: list[str]
    other: str
    message: str


class Findings(Page[Finding]):
    """Differences, and what the plan was compared with.

    `compared_on` is when the cloud was seen, in seconds since the epoch; null: nothing was compared, because no cloud
    is connected or none has been seen yet. `problems` say what of it could not be read.
    """

    compared_on: float | None
    problems: list[str]


class Report(BaseModel):
    """What an import did."""

    created: int
    present: int
    conflicts: list[dict[str, str]]


class Problem(BaseModel):
    """Problem details (RFC 9457); further members are the facts of the error."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class RegisterStatus(BaseModel):
    """A running register; see `server.status`. Times in seconds since the epoch."""

    version: str
    stack: str
    environment: str
    engine: str
    waiting: int
    now: float
    cloud_seen_on: float | None
    cloud_problems: list[str]
    objects: dict[str, int]
    lacking: list[str]


class SignInLink(BaseModel):
    """Where to go to be signed in to the pages, on this server, and for how many seconds that works."""

    path: str
    expires_in: float


class JournalChange(BaseModel):
    """One fact that changed; null: it was not there before, or is not there any more."""

    field: str
    before: str | None
    after: str | None


class JournalLine(BaseModel):
    """One line of the journal; see `plan.journal`. Times in seconds since the epoch."""

    number: int
    at: float
    verb: str
    kind: str
    name: str
    where: list[str]
    cidr: str | None
    actor: str
    reason: str
    changes: list[JournalChange]
    details: str


class JournalPart(BaseModel):
    """Part of the journal; `next` is the `after` of the next part, null at the end."""

    items: list[JournalLine]
    next: str | None


class Fullness(BaseModel):
    """A block and how many of its addresses are taken: used, or reserved."""

    space: str
    block: str
    cidr: str
    size: int
    taken: int


class Expiring(BaseModel):
    """A reservation that expires within two weeks. Times in seconds since the epoch."""

    id: str
    space: str
    block: str
    cidr: str
    created_by: str
    expires_on: float


class Overview(BaseModel):
    """How many spaces and blocks there are, the five fullest blocks, the five reservations that expire first."""

    spaces: int
    blocks: int
    fullest: list[Fullness]
    expiring: list[Expiring]


class WebSession(BaseModel):
    """Somebody who is signed in to the pages. Times in seconds since the epoch; `by` is token or Entra ID."""

    id: str
    name: str
    opened: float
    seen: float
    ends: float
    client: str
    by: str


class Preferences(BaseModel):
    """How a person wants pages to look."""

    model_config = ConfigDict(extra="forbid")

    theme: Literal["system", "light", "dark"] = "system"
    density: Literal["comfortable", "compact"] = "comfortable"
    zone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])] = "UTC"
    columns: Annotated[
        dict[str, tuple[str, ...]],
        Field(
            max_length=16, description="The columns of lists of which a choice was made: of " + ", ".join(LISTS) + "."
        ),
    ] = {}


class CloudSubnet(BaseModel):
    """A subnet of a network of the cloud. `used` is null where Azure does not tell; `seen_on` is in epoch seconds."""

    id: str
    name: str
    network: str
    network_name: str
    prefixes: list[str]
    used: int | None
    kind: str | None
    size: int
    size_ipv6: int
    seen_on: float


class Peering(BaseModel):
    """One end of a peering; `remote` is the other network's resource id, `state` is Azure's word."""

    name: str
    remote: str
    state: str


class PeeredNetwork(BaseModel):
    """A network of the cloud with its tags and peerings."""

    id: str
    name: str
    kind: str
    prefixes: list[str]
    resource_group: str
    subscription: str
    tags: dict[str, str]
    peerings: list[Peering]
