"""Two clips of a bright square that moves."""

from pathlib import Path


def write(to: Path, frames: int = 120) -> Path:
    """Write two clips of together about `frames` frames into `to` and return it; each file says how many frames to draw."""
    to.mkdir(parents=True)
    for name in ("left", "right"):
        (to / f"{name}.clip").write_text(str(frames // 2))
    return to
