"""Say no over HTTP: which status and which stable code an error has."""

from __future__ import annotations

from hyla.errors import BadItem, FormatError, HylaError, StageError, StoreError


class Refused(HylaError):
    """Refuse a request.

    Args:
        status: of HTTP, 400 to 499.
        code: a stable word for programs.
        what: what is wrong, in words that name no path of this machine.
        hint: what to do next.
    """

    def __init__(self, status: int, code: str, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.status, self.code = status, code


def code_of(error: HylaError) -> tuple[int, str]:
    """Return the status and the code of an error."""
    match error:
        case Refused():
            return error.status, error.code
        case BadItem():
            return 410, "gone"
        case FormatError() | StageError():
            return 422, "labels"
        case StoreError():
            return 409, "store"
    return 400, "refused"
