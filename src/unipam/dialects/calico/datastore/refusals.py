"""Why a write at a revision is refused, in one form of words for every datastore."""

from __future__ import annotations

from unipam.dialects.calico.datastore.api import Create, Update, Write
from unipam.dialects.calico.datastore.keys import Key
from unipam.model.errors import Conflict, Exists, NotFound


def objection(write: Write, present: str | None, where: str) -> Exists | NotFound | Conflict | None:
    """Return what speaks against a write where the object is `present` at a revision, or not there at all."""
    if isinstance(write, Create):
        return exists(write.key, where) if present else None
    if present is None:
        return not_found(write.key, where)
    expected = write.item.revision if isinstance(write, Update) else write.revision
    return None if expected in {None, present} else conflict(write.key, expected, where)


def exists(key: Key, where: str) -> Exists:
    """Return the error of an object that is there already."""
    return Exists(f"{where}: there is a {key} already", key=key)


def not_found(key: Key, where: str) -> NotFound:
    """Return the error of an object that is not there."""
    return NotFound(f"{where}: there is no {key}", key=key)


def conflict(key: Key, revision: str | None, where: str) -> Conflict:
    """Return the error of an object that is not at a revision any more."""
    return Conflict(f"{where}: {key} has been changed since revision {revision}", key=key, revision=revision)
