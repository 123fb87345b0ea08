"""ASAM OpenLABEL 1.0.0 with events as actions: which frames they last, and which people, vehicles or things take part."""

from __future__ import annotations

from hyla.formats.openlabel import OpenLabel


class OpenLabelActions(OpenLabel):
    """Read and write OpenLABEL; see `hyla.formats.openlabel`. Events are actions, participants are related to them.

    Args:
        unknown: `error` to refuse types and attributes that the schema does not have, `skip` to leave them out.
    """

    name = "openlabel_actions"

    def __init__(self, unknown: str = "error") -> None:
        super().__init__(unknown, actions=("event",), participants="participants")
