"""Answer who is logged in, and let people in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from hyla.draw import color_of
from hyla.review import wire
from hyla.review.access import CSRF, AdminDep, DeskDep, ViewerDep, csrf_of
from hyla.review.desk import Desk
from hyla.review.problems import Refused
from hyla.schema import Schema

router = APIRouter()


@router.post("/session", status_code=204)
def login(given: wire.Login, request: Request, at: DeskDep) -> Response:
    """Trade a one-time token for the session cookie."""
    if request.headers.get(CSRF) != "login":
        raise Refused(403, "csrf", "the request does not come from the review page", "reload the page")
    session = at.project.login(given.token)
    if session is None:
        raise Refused(401, "token", "this link was used, or is too old", "run `hyla review` again: it prints a new one")
    response = Response(status_code=204)
    response.set_cookie(at.cookie, session, httponly=True, samesite="strict", path="/", max_age=30 * 86400)
    return response


@router.get("/session")
def session(at: DeskDep, who: ViewerDep) -> wire.Session:
    """Tell the page who uses it, and on what."""
    return wire.Session(
        person=who.person,
        role=who.role,  # type: ignore[arg-type]
        csrf=csrf_of(who.session),
        project=at.project.path.resolve().name,
        data_schema=_schema(at.schema),
        features=[*at.features, *(["refine"] if at.refiner.offered else [])],
    )


@router.delete("/session", status_code=204)
def logout(at: DeskDep, who: ViewerDep) -> Response:
    """End the session."""
    at.project.logout(who.session)
    response = Response(status_code=204)
    response.delete_cookie(at.cookie, httponly=True, samesite="strict", path="/")
    return response


@router.get("/people")
def everyone(at: DeskDep, _: ViewerDep) -> list[wire.Person]:
    """List the people of the project."""
    return [wire.Person(name=p.name, role=p.role) for p in at.project.people()]  # type: ignore[arg-type]


@router.get("/accesses")
def accesses(
    at: DeskDep,
    _: AdminDep,
    person: Annotated[str | None, Query(max_length=200)] = None,
    what: Annotated[str | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[wire.Access]:
    """List who saw which clip or item, the latest last: by one person, or of one clip or item, if given. For admins alone."""
    found = at.project.accesses(person, what, limit)
    return [wire.Access(at=one.at, person=one.who, how=one.how, clip=one.group, item=one.item_id) for one in found]


@router.post("/people")
def invite(given: wire.NewPerson, at: DeskDep, who: AdminDep) -> wire.Invited:
    """Let someone in, or change a role; the answer holds a link that works once."""
    if given.name == who.person and given.role != "admin":
        raise Refused(422, "role", "an admin can't take the role from themselves", "let another admin do it")
    link = link_of(at, at.project.invite(given.name, given.role))
    return wire.Invited(name=given.name, role=given.role, link=link)


def link_of(desk: Desk, token: str) -> str:
    """Return the address that logs its bearer in once. What follows # stays in the browser and in no log."""
    return f"http://127.0.0.1:{desk.port}/#token={token}"


def _schema(schema: Schema) -> wire.SchemaInfo:
    kinds = [k for k in schema.kinds if k != "track"]
    return wire.SchemaInfo(
        name=schema.name,
        version=schema.version,
        kinds=list(schema.kinds),
        classes=[
            wire.ClassInfo(
                name=c.name,
                parent=c.parent,
                kinds=list(c.kinds or kinds),
                keypoints=list(c.keypoints),
                skeleton=list(c.skeleton),
                color="#{:02x}{:02x}{:02x}".format(*color_of(schema, i)),
                abstract=c.abstract,
                confirmations=int(schema.confirmations[i]),
            )
            for i, c in enumerate(schema.classes)
        ],
        attributes=[
            wire.AttributeInfo(
                name=a.name,
                type=a.type,  # type: ignore[arg-type]
                scope=a.scope,  # type: ignore[arg-type]
                choices=list(a.choices),
                classes=list(a.classes),
                unit=a.unit,
                minimum=a.minimum,
                maximum=a.maximum,
                identity=a.identity,
            )
            for a in schema.attributes
        ],
    )
