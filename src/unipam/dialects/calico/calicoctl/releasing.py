"""`ipam release`: one address, or what reports of `ipam check` say leaked (spec §3.3).

A report is believed of the cluster it was made of only, and what it says of an address only as long as handle and
sequence number are still those that it saw. Of several reports, what all of them say counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from unipam.addr.prefix import format_address, parse_address
from unipam.dialects.calico.calicoctl.observing import cluster_of
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.datastore.metadata import uid
from unipam.dialects.calico.engine import releasing
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import (
    BadValue,
    Conflict,
    Mismatch,
    Missing,
    NotFound,
    Refused,
    Stale,
    UnipamError,
    UnreadableInput,
)


class _Allocation(msgspec.Struct, rename={"sequence": "sequenceNumber", "used": "inUse", "cools": "coolingDown"}):
    ip: str
    handle: str = ""
    sequence: int | None = None
    used: bool = False
    cools: bool = False


class _Handle(msgspec.Struct, rename={"id": "ID", "uid": "UID", "revision": "Revision"}):
    id: str
    uid: str | None = None
    revision: str = ""


class Report(msgspec.Struct, rename="camel"):
    """What `ipam check -o` wrote, as far as a release needs it.

    A document of `-o json` has the version of its schema where a report has what made it.
    """

    version: str | int = ""
    made_by: str = msgspec.field(default="", name="made_by")
    cluster: str = msgspec.field(default="", name="clusterGUID")
    revision: str = msgspec.field(default="", name="clusterInformationRevision")
    allocations: dict[str, list[_Allocation]] = {}
    leaked_handles: list[_Handle] = []

    @property
    def maker(self) -> str:
        """What made it."""
        return self.made_by or str(self.version)


class Leaks(NamedTuple):
    """What is to be released: addresses, each with its handle and sequence number, and handles at a revision."""

    wishes: dict[str, Wish]
    handles: dict[str, _Handle]


class Released(NamedTuple):
    """What became of it; `error` is the first thing that went wrong with a block."""

    wanted: int
    gone: int
    error: UnipamError | None
    handles: int
    deleted: int
    skipped: int
    failed: list[str]

    def record(self) -> dict[str, Any]:
        """Return it for machines."""
        return {**self._asdict(), "error": self.error.message if self.error else ""}


def release_address(session: Session, address: int) -> None:
    """Release one address, whoever holds it. Raises Missing when nobody does."""
    outcome = releasing.release(session, [Wish(address)])
    if outcome.error:
        raise outcome.error
    if outcome.unheld:
        raise Missing(f"IP address {format_address(address)} is not assigned", address=format_address(address))


def read(path: str) -> Report:
    """Read a report; large numbers may be texts, as `-o json` prints them. Raises UnreadableInput, BadValue."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Report, strict=False)
    except OSError as error:
        problem = f"cannot read the report {path}: {error.strerror}"
        raise UnreadableInput(problem, path=path, reason=error.strerror) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadValue(f"{path} is no report of `ipam check -o`: {error}", field="report", value=path) from error


def guard(session: Session, reports: dict[str, Report], version: str, *, force: bool) -> list[str]:
    """Return the warnings of reports that are good enough. Raises, in calicoctl's order and words, for others.

    Mismatch of the cluster, which nobody can overrule; Refused for another version; Stale when none is of now; Refused
    while the datastore is not locked.
    """
    cluster, warnings = cluster_of(session), []
    for path, report in reports.items():
        if report.cluster != cluster.guid:
            problem = (
                f"cluster does not match the provided report ({path}): mismatched cluster GUID. Refusing to release"
            )
            raise Mismatch(problem, path=path)
        if report.maker != version:
            if not force:
                problem = f"the provided report ({path}) was produced using a different version ({report.maker})"
                raise Refused(f"{problem}: this is {version}. Refusing to release without --force", path=path)
            warnings.append("WARNING: Report was produced using a different version. Ignoring due to --force option")
    if all(report.revision != cluster.revision for report in reports.values()):
        raise Stale(
            "the provided reports are all stale - at least one should be up-to-date. Please generate a new report while"
            " the data store is locked and try again"
        )
    if not cluster.locked:
        if not force:
            raise Refused("data store is not locked. Either lock the data store, or re-run with --force")
        warnings.append("WARNING: Data store is not locked. Ignoring due to --force option")
    return warnings


def common(reports: Sequence[Report]) -> Leaks:
    """Return what all reports say leaked. Raises BadValue for an address that is none."""
    wishes: dict[str, Wish] | None = None
    handles: dict[str, _Handle] | None = None
    for report in reports:
        several = [each for of in report.allocations.values() for each in of if not (each.used or each.cools)]
        wishes = {
            each.ip: Wish(_address(each.ip), each.handle, each.sequence)
            for each in several
            if wishes is None or each.ip in wishes
        }
        handles = {
            each.id: each
            for each in report.leaked_handles
            if handles is None or (each.id in handles and handles[each.id].revision == each.revision)
        }
    return Leaks(wishes or {}, handles or {})


def _address(text: str) -> int:
    try:
        return parse_address(text)
    except ValueError as error:
        raise BadValue(f"a report has an address that is none: {error}", field="ip", value=text) from error


def release(session: Session, leaks: Leaks) -> Released:
    """Release what leaked, and remove handles of nothing; each only if it is still as the reports saw it."""
    outcome = releasing.release(session, list(leaks.wishes.values()))
    deleted = skipped = 0
    failed = []
    for each in leaks.handles.values():
        try:
            session.datastore.delete(HandleKey(each.id), _unchanged(session, each), session.deadline)
            deleted += 1
        except (NotFound, Conflict):
            skipped += 1
        except UnipamError as error:
            failed.append(f"Deleting handle {each.id} failed: {error.message}.")
    counts = (len(leaks.handles), deleted, skipped)
    return Released(len(leaks.wishes), len(outcome.unheld), outcome.error, *counts, failed)


def _unchanged(session: Session, handle: _Handle) -> str:
    """Return the revision of a handle that is as a report saw it. Raises NotFound, Conflict."""
    found = session.handle(handle.id).item
    if found.revision != handle.revision or uid(found.origin) != handle.uid:
        raise Conflict("IPAM handle revision or UID didn't match", key=found.key)
    return found.revision


def lines(done: Released) -> Iterator[str]:
    """Yield what calicoctl prints of a release from reports."""
    if done.wanted:
        yield f"Releasing {done.wanted} old IPs..."
        if done.error:
            yield (
                f"An error occurred while releasing some IPs: {done.error.message}.  Problems are often caused by an"
                " out-of-date IPAM report.  Try regenerating the IPAM report and retry."
            )
        else:
            yield f"Released {done.wanted - done.gone} IPs successfully"
        if done.gone:
            yield f"{done.gone} addresses marked as leaked in the report had already been cleaned up."
    else:
        yield "Report didn't contain any leaked IPs to clean up."
    if done.handles:
        yield from (f"Deleting {done.handles} handles...", "Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.")
        yield from (*done.failed, "." * done.deleted + "x" * done.skipped)
        yield f"Released {done.deleted} handles; {done.skipped} skipped; {len(done.failed)} errors."
    else:
        yield "Report didn't contain any handles to clean up."
    yield "You may now unlock the data store."
