"""Check a certificate: gather its evidence again from what is stored, issue it again, and compare every bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hyla.decide.certificate import Certificate, issue
from hyla.decide.evidence import Evidence
from hyla.errors import StoreError

if TYPE_CHECKING:
    from hyla.store import Project

Gather = Callable[["Project", int, str], Evidence]
SHOWN = 5  # differences that an error names


class Differs(StoreError):
    """Report a certificate that does not follow from what is stored."""


def recompute(project: Project, certificate: Mapping[str, Any], gather: Gather) -> Certificate:
    """Return the certificate as it follows from the project, if that is the one given, to the last bit.

    Decisions made since do not count: the evidence ends where the certificate says that the ledger did.

    Args:
        project: that it was issued from.
        certificate: as `certificate.json` reads.
        gather: returns the evidence for a lot, by its number, up to a decision, by its hash.

    Raises:
        StoreError: if it is no certificate, or the project does not hold what was stored (as `hyla verify` says).
        Differs: if the certificate is another than the project gives, naming what differs.
    """
    given = Certificate.from_dict(certificate)
    report = project.verify(given.head)
    if not report.ok:
        raise StoreError(
            f"the project does not hold what the certificate rests on: {report.problems[0]}", "run `hyla verify` for all there is"
        )
    return compare(given, issue(gather(project, given.lot, given.head)))


def compare(given: Certificate, again: Certificate) -> Certificate:
    """Return `again` if it says what `given` says, whichever version of Hyla issued either; else raise Differs."""
    again = replace(again, version=given.version)
    found = list(differences(given.to_dict(), again.to_dict()))
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise Differs(
            f"the certificate is not what the project gives: {'; '.join(found[:SHOWN])}{more}",
            "it was changed, or belongs to another project or another state of it",
        )
    return again


def differences(given: Any, again: Any, name: str = "") -> Iterator[str]:
    """Yield one sentence for each place in which two values of JSON differ."""
    if isinstance(given, dict) and isinstance(again, dict):
        for key in sorted(given.keys() | again.keys()):
            yield from differences(given.get(key), again.get(key), f"{name}.{key}" if name else key)
    elif isinstance(given, list) and isinstance(again, list) and len(given) == len(again):
        for i, (one, other) in enumerate(zip(given, again, strict=True)):
            yield from differences(one, other, f"{name}[{i}]")
    elif type(given) is not type(again) or given != again:
        yield f"{name} is {given!r}, and {again!r} by what is stored"
