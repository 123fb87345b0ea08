"""Know who may look and decide: names with roles, links that work once, sessions. Secrets are kept as hashes only."""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, delete, insert, select, update

from hyla.errors import StoreError, did_you_mean
from hyla.store.asks import person
from hyla.store.database import Database, now
from hyla.store.rows import role_of
from hyla.store.tables import people, secrets

ROLES = ("viewer", "reviewer", "adjudicator", "admin")  # each may do what those before it may
TOKEN_LIFE = timedelta(days=7)
SESSION_LIFE = timedelta(days=30)
LONGEST = 80


@dataclass(frozen=True, slots=True)
class Person:
    """Name someone who may look or decide, with a role of ROLES."""

    name: str
    role: str


def invite(database: Database, name: str, role: str) -> str:
    """Add a person, or change the role of one, and return a token that logs them in once, within seven days.

    Raises:
        StoreError: for a name that can't stand in `human:NAME` or is another person's but for case or spaces, or an unknown role.
    """
    role_of(f"human:{name}")
    if len(name) > LONGEST or name != name.strip():
        raise StoreError(f"{name[:LONGEST]!r} is no name", f"give one of up to {LONGEST} characters, with no spaces around it")
    if role not in ROLES:
        raise StoreError(f"unknown role {role!r}", did_you_mean(role, ROLES), ROLES)
    with database.write() as connection:
        others = [other for other in connection.scalars(select(people.c.name)) if other != name and person(other) == person(name)]
        if others:  # they would count as one person
            raise StoreError(f"{name!r} and {others[0]!r} differ in nothing but case or spaces", "give each person another name")
        if connection.execute(update(people).where(people.c.name == name).values(role=role)).rowcount == 0:
            connection.execute(insert(people), {"name": name, "role": role, "created": now()})
    return _issue(database, name, "token", TOKEN_LIFE)


def login(database: Database, token: str) -> str | None:
    """Trade a token for a session, which lasts thirty days; None for a token that is unknown, used or too old."""
    with database.write(durable=True) as connection:  # a used link must stay used
        found = select(secrets.c.name).where(_is(token, "token"), secrets.c.expires > now())
        name = connection.scalar(found)
        connection.execute(delete(secrets).where((secrets.c.expires <= now()) | _is(token, "token")))
    return None if name is None else _issue(database, name, "session", SESSION_LIFE)


def logout(database: Database, session: str) -> None:
    """End a session."""
    with database.write() as connection:
        connection.execute(delete(secrets).where(_is(session, "session")))


def person_of(database: Database, session: str) -> Person | None:
    """Return whose session it is, or None if it has ended or never began."""
    found = select(people.c.name, people.c.role).join_from(secrets, people, people.c.name == secrets.c.name)
    with database.read() as connection:
        row = connection.execute(found.where(_is(session, "session"), secrets.c.expires > now())).first()
    return None if row is None else Person(row.name, row.role)


def everyone(database: Database) -> list[Person]:
    """Return the people of the project, by name."""
    with database.read() as connection:
        return [Person(row.name, row.role) for row in connection.execute(select(people).order_by(people.c.name))]


def _is(secret: str, kind: str) -> ColumnElement[bool]:
    return (secrets.c.digest == sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()) & (secrets.c.kind == kind)


def _issue(database: Database, name: str, kind: str, life: timedelta) -> str:
    """Return a new secret of 256 random bits; so many need no slow hash."""
    secret = random.token_urlsafe(32)
    expires = (datetime.now(UTC) + life).isoformat(timespec="microseconds")
    row = {"digest": sha256(secret.encode()).hexdigest(), "name": name, "kind": kind, "created": now(), "expires": expires}
    with database.write() as connection:
        connection.execute(insert(secrets), row)
    return secret
