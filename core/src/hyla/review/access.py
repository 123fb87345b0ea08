"""Who asks, and whether they may: dependencies that endpoints name in their parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import compare_digest
from typing import Annotated

from fastapi import Depends, Request

from hyla.review.desk import Desk
from hyla.review.problems import Refused
from hyla.store.people import ROLES

CSRF = "x-hyla-csrf"
SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Name who asks: from the session, never from what was sent.

    Args:
        person: name.
        role: viewer, reviewer, adjudicator or admin.
        session: the secret of the cookie.
    """

    person: str
    role: str
    session: str

    def may(self, role: str) -> bool:
        """Tell whether this visitor has at least the given role."""
        return ROLES.index(self.role) >= ROLES.index(role)


def csrf_of(session: str) -> str:
    """Return what a page of this session must send back in the header X-Hyla-CSRF with every change."""
    return sha256(b"hyla csrf " + session.encode("utf-8", "surrogatepass")).hexdigest()


def desk(request: Request) -> Desk:
    """Return the desk of the application."""
    found: Desk = request.app.state.desk
    return found


DeskDep = Annotated[Desk, Depends(desk)]


def visitor(request: Request, at: DeskDep) -> Visitor:
    """Return who asks; raise Refused for nobody, or for a change that does not come from our own page."""
    session = request.cookies.get(at.cookie, "")
    person = at.project.person_of(session) if session else None
    if person is None:
        raise Refused(401, "session", "you are not logged in", "open the address that `hyla review` printed")
    if request.method not in SAFE and not compare_digest(
        request.headers.get(CSRF, "").encode("utf-8", "surrogatepass"), csrf_of(session).encode()
    ):
        raise Refused(403, "csrf", "the request does not come from the review page", "reload the page")
    return Visitor(person.name, person.role, session)


def at_least(role: str) -> Callable[[Visitor], Visitor]:
    """Return a dependency that lets in who has at least this role."""

    def check(who: Annotated[Visitor, Depends(visitor)]) -> Visitor:
        if not who.may(role):
            raise Refused(403, "role", f"this needs the role {role}, and {who.person} is {who.role}", "ask an admin")
        return who

    return check


ViewerDep = Annotated[Visitor, Depends(at_least("viewer"))]
ReviewerDep = Annotated[Visitor, Depends(at_least("reviewer"))]
AdjudicatorDep = Annotated[Visitor, Depends(at_least("adjudicator"))]
AdminDep = Annotated[Visitor, Depends(at_least("admin"))]
