"""What the Azure IPAM application says when something is refused: one table of common words, one per operation.

Words are those of spec azure-ipam-application §2. Where the original answers 500 to a request that cannot be served
(exhaustion, a broken patch) the status is the right one (D2). An error without words of its own speaks for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from unipam.model.errors import (
    BadInput,
    BadValue,
    Duplicate,
    Exhausted,
    Forbidden,
    Missing,
    NameTaken,
    NotEmpty,
    NotSignedIn,
    Outside,
    Overlap,
    Refused,
    Stale,
    Throttled,
    Unavailable,
    UnipamError,
)
from unipam.plan.permissions import UseCase, with_hint


class Say(NamedTuple):
    """A status and its text; an empty text lets the error speak. `{...}` are facts of the error."""

    status: int
    text: str = ""


Key = type[UnipamError] | tuple[type[UnipamError], str]
"""An error, or an error with one of its facts: the `kind` of the object, `among` what it overlaps, the `field`, or the
`use_case` that was refused."""
Table = Mapping[Key, Say]

ADMINS_ONLY = "API restricted to admins."
_RESTRICTED = (
    UseCase.MAKE_SPACE, UseCase.CHANGE_SPACE, UseCase.REMOVE_SPACE, UseCase.MAKE_BLOCK, UseCase.CHANGE_BLOCK,
    UseCase.REMOVE_BLOCK, UseCase.CHANGE_EXTERNAL, UseCase.REMOVE_EXTERNAL,
)  # fmt: skip
_REFUSALS: Table = {
    **{(Forbidden, each.name): Say(403, ADMINS_ONLY) for each in UseCase},
    **{(Forbidden, each.name): Say(403, "This API is admin restricted.") for each in _RESTRICTED},
    (Forbidden, UseCase.EXPAND_NETWORKS.name): Say(403, "Expand parameter can only be used by admins."),
    (Forbidden, UseCase.RESERVE.name): Say(403, "This token may only read."),
    (Forbidden, UseCase.CANCEL_RESERVATION.name): Say(403, "Users can only delete their own reservations."),
    (Forbidden, UseCase.VIEW_RESERVATION.name): Say(403, "Users can only view their own reservations."),
}

COMMON: Table = {
    (Missing, "space"): Say(400, "Invalid space name."),
    (Missing, "block"): Say(400, "Invalid block name."),
    (Missing, "external"): Say(400, "Invalid external network name."),
    (Missing, "subnet"): Say(400, "Invalid external subnet name."),
    (Missing, "reservation"): Say(400, "Invalid reservation ID."),
    NotSignedIn: Say(401),
    **_REFUSALS,
    Forbidden: Say(403),
    Throttled: Say(429),
    Stale: Say(409),
    Exhausted: Say(409),
    BadInput: Say(400),
    Refused: Say(400),
    Unavailable: Say(503),
    UnipamError: Say(503),
}

_SUGGESTION = "Invalid CIDR value, Try '{suggestion}' instead."

SPACE_CREATE: Table = {NameTaken: Say(400, "Space name must be unique.")}
SPACE_CHANGE: Table = {NameTaken: Say(400, "Updated Space name must be unique.")}
SPACE_REMOVE: Table = {NotEmpty: Say(400, "Cannot delete space while it contains blocks.")}

BLOCK_CREATE: Table = {
    NameTaken: Say(400, "Block name must be unique within the Space."),
    (BadValue, "cidr"): Say(400, _SUGGESTION),
    Overlap: Say(400, "New block cannot overlap existing blocks."),
}
BLOCK_CHANGE: Table = {
    NameTaken: Say(400, "Updated Block name cannot match existing Blocks within the Space."),
    (BadValue, "cidr"): Say(400, _SUGGESTION),
    (BadValue, "notation"): Say(400, "Updated Block CIDR must be in valid CIDR notation (x.x.x.x/x)."),
    Overlap: Say(400, "Updated CIDR cannot overlap other Block CIDRs within the Space."),
    Outside: Say(
        400,
        "Block CIDR must be in valid CIDR notation (x.x.x.x/x), cannot overlap existing Blocks within the Space and"
        " must contain all existing Virtual Networks, External Networks and unfulfilled Reservations within the Block.",
    ),
}
BLOCK_REMOVE: Table = {
    NotEmpty: Say(400, "Cannot delete block while it contains vNets or reservations."),
    (NotEmpty, "external"): Say(400, "Cannot delete block while it contains external networks."),
    (NotEmpty, "block"): Say(400, "Cannot delete block while it contains blocks."),
}

NETWORK_ADD: Table = {
    Duplicate: Say(400, "Network already exists in block."),
    (Missing, "network"): Say(400, "Invalid network ID."),
    Outside: Say(400, "Network CIDR not within block CIDR."),
    Overlap: Say(
        400, "Block already contains network(s) and/or reservation(s) within the CIDR range of target network."
    ),
}
NETWORK_REPLACE: Table = {
    Duplicate: Say(400, "List contains duplicate networks."),
    (Missing, "network"): Say(400, "Invalid network ID(s): {value}"),
    (Overlap, "network"): Say(400, "Network list contains overlapping CIDRs."),
    (Overlap, "reservation"): Say(400, "Network list contains CIDR(s) that overlap outstanding reservations."),
    (Overlap, "external"): Say(400, "Network list contains CIDR(s) that overlap external networks."),
    (Overlap, "block"): Say(400, "Network list contains CIDR(s) that overlap inner blocks."),
    Outside: Say(400, "Network CIDR(s) not within Block CIDR: {networks}"),
}
NETWORK_REMOVE: Table = {
    Duplicate: Say(400, "List contains one or more duplicate network id's."),
    (Missing, "network"): Say(400, "List contains one or more invalid network id's."),
}

EXTERNAL_CREATE: Table = {
    NameTaken: Say(400, "External network name already exists in block."),
    (BadValue, "cidr"): Say(400, "External network cidr invalid, should be {suggestion}"),
    Outside: Say(400, "External network CIDR not within block CIDR."),
    (Overlap, "external"): Say(400, "Block contains external network(s) which overlap the target external network."),
    (Overlap, "reservation"): Say(
        400, "Block contains unfulfilled reservation(s) which overlap the target external network."
    ),
    (Overlap, "network"): Say(
        400, "Block contains a virtual network(s) or hub(s) which overlap the target external network."
    ),
    (Overlap, "block"): Say(400, "Block contains inner block(s) which overlap the target external network."),
    Exhausted: Say(409, "Network of requested size unavailable in target block."),
}
EXTERNAL_CHANGE: Table = {
    NameTaken: Say(400, "Updated External Network name cannot match existing External Networks within the Block."),
    (BadValue, "cidr"): Say(400, _SUGGESTION),
    (BadValue, "notation"): Say(400, "Updated External Network CIDR must be in valid CIDR notation (x.x.x.x/x)."),
    Outside: Say(400, "Updated External Network CIDR must be contained within the Block CIDR."),
    (Outside, "subnet"): Say(400, "Updated External Network CIDR must contain all existing subnets."),
    Overlap: Say(
        400,
        "Updated CIDR cannot overlap other Virtual Networks, External Networks, or unfulfilled Reservations within"
        " the Block.",
    ),
}
EXTERNAL_REPLACE: Table = {
    (Duplicate, "name"): Say(400, "List cannot contain duplicate external network names."),
    (BadValue, "cidr"): Say(400, "External network cidr invalid, should be {suggestion}"),
    Outside: Say(400, "List contains external network CIDR(s) outside the block CIDR."),
    (Outside, "subnet"): Say(400, "Updated External Network CIDR must contain all existing subnets."),
    (Overlap, "external"): Say(400, "List cannot contain overlapping external network CIDR's."),
    (Overlap, "reservation"): Say(
        400,
        "Block contains unfulfilled reservation(s) within the CIDR range of one or more external networks.",
    ),
    (Overlap, "network"): Say(
        400,
        "Block contains virtual network(s) or hub(s) within the CIDR range of one or more external networks.",
    ),
    (Overlap, "block"): Say(400, "Block contains inner block(s) which overlap the target external network."),
    NotEmpty: Say(400, "Cannot delete external network while it contains subnets."),
}
EXTERNAL_REMOVE: Table = {NotEmpty: Say(400, "Cannot delete external network while it contains subnets.")}

SUBNET_CREATE: Table = {
    NameTaken: Say(400, "Subnet name already exists in external network."),
    (BadValue, "cidr"): Say(400, "External subnet CIDR invalid, should be {suggestion}"),
    Outside: Say(400, "External subnet CIDR not within external network CIDR."),
    Overlap: Say(409, "Requested subnet CIDR overlaps existing subnet(s)."),
    Exhausted: Say(409, "Subnet of requested size unavailable in target external network."),
}
SUBNET_CHANGE: Table = {
    NameTaken: Say(
        400, "Updated External Subnet name cannot match existing External Subnets within the External Network."
    ),
    (BadValue, "cidr"): Say(400, _SUGGESTION),
    (BadValue, "notation"): Say(400, "Updated External Subnet CIDR must be in valid CIDR notation (x.x.x.x/x)."),
    Outside: Say(400, "Updated External Subnet CIDR must be contained within the External Network CIDR."),
    (Outside, "endpoint"): Say(400, "Updated External Subnet CIDR must contain all existing endpoints."),
    Overlap: Say(400, "Updated CIDR cannot overlap other External Subnets within the External Network."),
}
SUBNET_REMOVE: Table = {NotEmpty: Say(400, "Cannot delete external subnet while it contains endpoints.")}

_SUBNET_OF_ENDPOINTS: Table = {(Missing, "subnet"): Say(400, "Invalid external network subnet name.")}
ENDPOINT_LIST: Table = _SUBNET_OF_ENDPOINTS
ENDPOINT_CREATE: Table = {
    **_SUBNET_OF_ENDPOINTS,
    NameTaken: Say(400, "Target endpoint name overlaps existing endpoint name."),
    Exhausted: Say(400, "External subnet has reached maximum available host addresses."),
    Overlap: Say(400, "Target endpoint IP address overlaps existing endpoint IP address."),
    Outside: Say(400, "Target endpoint IP address outside the external subnet CIDR."),
}
ENDPOINT_REPLACE: Table = {
    **_SUBNET_OF_ENDPOINTS,
    (Duplicate, "name"): Say(400, "List cannot contain duplicate endpoint names."),
    (Duplicate, "ip"): Say(400, "List cannot contain overlapping endpoint IP addresses."),
    Exhausted: Say(400, "Number of endpoints exceeds available host addresses in subnet."),
    Outside: Say(400, "List contains endpoint IP addresses outside the subnet CIDR."),
}
ENDPOINT_REMOVE_MANY: Table = {
    **_SUBNET_OF_ENDPOINTS,
    (Forbidden, UseCase.REMOVE_EXTERNAL.name): Say(403, ADMINS_ONLY),
    Duplicate: Say(400, "List contains one or more duplicate endpoint names."),
    (Missing, "endpoint"): Say(400, "Invalid endpoint name(s): {value}"),
}
ENDPOINT_GET: Table = {(Missing, "endpoint"): Say(400, "Invalid external subnet endpoint name.")}
ENDPOINT_CHANGE: Table = {
    (Missing, "endpoint"): Say(400, "Invalid external endpoint name."),
    NameTaken: Say(
        400, "Updated External Endpoint name cannot match existing External Endpoints within the External Subnet."
    ),
    (BadValue, "ip"): Say(400, "Updated External Endpoint IP must be in valid IPv4 notation (x.x.x.x)."),
    Outside: Say(400, "Updated External Endpoint IP must be contained within the External Subnet CIDR."),
    Overlap: Say(400, "Updated IP cannot overlap other External Endpoints within the External Subnet."),
}
ENDPOINT_REMOVE: Table = {(Missing, "endpoint"): Say(400, "Invalid endpoint name.")}

RESERVE: Table = {
    (BadValue, "cidr"): Say(400, _SUGGESTION),
    Overlap: Say(409, "Requested CIDR overlaps existing network(s)."),
    Outside: Say(409, "Requested CIDR overlaps existing network(s)."),
    Exhausted: Say(409, "Network of requested size unavailable in target block."),
}
RESERVE_IN_SPACE: Table = {
    (Missing, "block"): Say(400, "Invalid Block(s) in Block list: {value}"),
    Exhausted: Say(409, "Network of requested size unavailable in target block(s)."),
}
CANCEL_MANY: Table = {
    Duplicate: Say(400, "List contains one or more duplicate id's."),
    (Missing, "reservation"): Say(400, "List contains one or more invalid id's."),
}

ADMIN: Table = {Duplicate: Say(400, "User is already an admin.")}
ADMINS_REPLACE: Table = {Duplicate: Say(400, "List contains one or more duplicate objectId's.")}
ADMIN_GET: Table = {(Missing, "admin"): Say(404, "Admin not found.")}
ADMIN_REMOVE: Table = {(Missing, "admin"): Say(400, "Invalid admin objectId.")}
EXCLUSION_REMOVE: Table = {(Missing, "exclusion"): Say(400, "Subscription id not found.")}
USER_CHANGE: Table = {
    (BadValue, "apiRefresh"): Say(400, "apiRefresh must have a value in [5|10|15|30]."),
    (BadValue, "darkMode"): Say(400, "darkMode must be 'true' or 'false'."),
}

BAD_PATCH = "Invalid JSON patch, please review and try again."


def word(error: UnipamError, table: Table) -> Say:
    """Return the status and the text for an error: of the operation's table, else of the common one."""
    say = _look_up(error, table) or _look_up(error, COMMON) or Say(503)
    if not say.text or ("{suggestion}" in say.text and "suggestion" not in error.facts):
        return Say(say.status, error.message)
    text = say.text.format_map(_Facts(error.facts))
    return Say(say.status, with_hint(text, str(error.facts.get("hint", ""))))


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return ""


def _look_up(error: UnipamError, table: Table) -> Say | None:
    details = [error.facts.get(fact) for fact in ("among", "kind", "field", "holds", "use_case")]
    for kind in type(error).__mro__:
        for detail in details:
            if isinstance(detail, str) and (kind, detail) in table:
                return table[kind, detail]
        if kind in table:
            return table[kind]
    return None
