"""The one error tree. Each error is data first: a stable name, the facts, and whether trying again may help.

    UnipamError
    ├── BadInput                 what was asked cannot be understood; nothing was looked at
    │   ├── BadEnvironment       a CNI variable is missing or wrong
    │   ├── Undecodable          not JSON, or not of the expected shape
    │   ├── BadConfig            a configuration that makes no sense
    │   ├── BadValue             one field breaks its rule
    │   ├── UnreadableInput      a file or directory that was named cannot be read
    │   └── UnsupportedVersion   a protocol version that is not supported
    ├── Refused                  understood, and the rules say no
    │   ├── Duplicate            the owner holds an address of this pool already
    │   ├── Taken                the address asked for is held, cooling or reserved
    │   ├── IsGateway            the address asked for is the pool's gateway
    │   ├── Exhausted            no address is free
    │   ├── Unmet                addresses asked for that lie in no pool
    │   ├── Missing              what should be there is not
    │   │   └── NotFound         a datastore has no object of this key
    │   ├── Exists               a datastore has an object of this key already
    │   ├── Conflict             an object of a datastore is not as it was read (temporary)
    │   ├── Mismatch             it is there, but not as the caller says
    │   ├── Stale                the prefix has been handed out anew since the caller saw it
    │   ├── Superseded           the caller gave up this request before it was served
    │   ├── GivenBack            the network was given back to the system it came from (temporary)
    │   ├── Overlap              the prefix overlaps one that is claimed
    │   ├── Outside              the prefix does not lie where it must
    │   ├── NameTaken            a sibling has this name
    │   ├── NotEmpty             it still holds something
    │   ├── Forbidden            the caller may not do this
    │   ├── NotSignedIn          who the caller is could not be established
    │   └── Throttled            the caller failed too often lately (temporary)
    └── Unavailable              the world did not do its part
        ├── InstallError         a directory of plugins cannot be changed as asked
        ├── StoreBroken          the ledger is damaged, foreign, or cannot be read or written
        ├── StoreFull            no room to write
        ├── Unreadable           an object of a datastore is not what its kind must be
        ├── StoreBusy            somebody else holds the ledger (temporary)
        └── SourceFailed         a service that was asked did not answer well (temporary)
            ├── Behind           a copy of a collection is not up to date (temporary)
            ├── Unanswered       a write whose answer did not come: it may have been made (temporary)
            └── Expired          the history that was asked for is gone (temporary)

Translation into codes and words of a dialect happens once, at the edge; a test walks this tree and fails if an error
has no translation. Outside the tree stand signals that no user sees, caught where they are raised or one room above:
`WouldBlock` of a ledger, `NoFreeBlocks` and `Full` of Calico's engine, `Unsent`, `Untrusted`, `ProtocolError`,
`Disconnected`, `Refusal` and `WatchEnded` of the Kubernetes client, `RpcFailed` of etcd's and `Lost` of an HTTP/2
connection; and one error each of what hands out nothing: `sizing` (`InvalidClusterError`) and `unipam collect`
(`CollectionFailed`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


class UnipamError(Exception):
    """An error with facts. `str()` is one line for a person; `facts` are the same for a machine."""

    name: ClassVar[str] = "Error"
    temporary: ClassVar[bool] = False

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__


class BadInput(UnipamError):
    """What was asked cannot be understood."""


class BadEnvironment(BadInput):
    """A CNI variable is missing or wrong (CNI code 4)."""


class Undecodable(BadInput):
    """Not JSON, or not of the expected shape (CNI code 6)."""


class BadConfig(BadInput):
    """A configuration that makes no sense (CNI code 7)."""


class BadValue(BadInput):
    """One field breaks its rule. Facts: field, value, and where there is one, suggestion."""


class UnreadableInput(BadInput):
    """A file or directory that was named cannot be read. Facts: path, reason."""


class UnsupportedVersion(BadInput):
    """A protocol version that is not supported (CNI code 1)."""


class Refused(UnipamError):
    """Understood, and the rules say no."""


class Duplicate(Refused):
    """The owner holds an address of this pool already. Facts: address, holder, interface."""


class Taken(Refused):
    """The address asked for is not free. Facts: address, ranges."""


class IsGateway(Refused):
    """The address asked for is the pool's gateway. Facts: address."""


class Exhausted(Refused):
    """No address is free. Facts: ranges."""


class Unmet(Refused):
    """Addresses were asked for that no pool served. Facts: addresses."""


class Missing(Refused):
    """What should be there is not."""


class NotFound(Missing):
    """A datastore has no object of this key. Facts: key."""


class Exists(Refused):
    """A datastore has an object of this key already. Facts: key."""


class Conflict(Refused):
    """An object of a datastore is not at the revision it was read at: read it again. Facts: key, revision."""

    temporary = True


class Mismatch(Refused):
    """It is there, but not as the caller says."""


class Stale(Refused):
    """The prefix has been handed out anew since the caller saw it. Facts: generation."""


class Superseded(Refused):
    """The caller gave up this request before it was served."""

    temporary = True


class GivenBack(Refused):
    """The network was given back to the system it came from, and is not served until somebody takes it over again."""

    temporary = True


class Overlap(Refused):
    """The prefix overlaps one that is claimed. Facts: prefix, other."""


class Outside(Refused):
    """The prefix does not lie within its parent, or what lies within it would not any more. Facts: prefix, parent."""


class NameTaken(Refused):
    """A sibling has this name, letter case aside. Facts: kind, value."""


class NotEmpty(Refused):
    """It cannot go while it holds something. Facts: of (its kind), value, holds."""


class Forbidden(Refused):
    """The caller is known, and may not do this. Facts: caller."""


class NotSignedIn(Refused):
    """Who the caller is could not be established."""


class Throttled(Refused):
    """The caller failed too often lately. Facts: seconds, after which it may try again."""

    temporary = True


class Unavailable(UnipamError):
    """The world did not do its part."""


class InstallError(Unavailable):
    """A directory cannot be changed as asked, and was not; the message has the file, the cause and the way out."""


class StoreBroken(Unavailable):
    """The ledger is damaged, foreign, or cannot be read or written. Facts: path."""


class StoreFull(Unavailable):
    """There is no room to write. Facts: path."""


class Unreadable(Unavailable):
    """An object of a datastore is not the document that its kind must be: mend or remove it. Facts: key."""


class StoreBusy(Unavailable):
    """Somebody else holds the ledger. Facts: path."""

    temporary = True


class SourceFailed(Unavailable):
    """A service that was asked did not answer well. Facts: source."""

    temporary = True


class Behind(SourceFailed):
    """A copy of a collection is not up to date. `over` says whether it is by now. Facts: source."""

    def __init__(self, message: str, over: Callable[[], bool] = lambda: False, **facts: object) -> None:
        super().__init__(message, **facts)
        self.over = over


class Unanswered(SourceFailed):
    """A write was sent and no answer came, so it may have been made or not. Facts: source, key."""


class Expired(SourceFailed):
    """The history from the revision that was asked for is gone: list anew. Facts: source, revision."""
