"""A sample that is not there."""

from pathlib import Path


def write(to: Path) -> Path:
    """Return a source without writing it."""
    return to / "promised"
