"""Tell the time of a live stream: seconds that only rise, whatever the clock of the camera does."""

from __future__ import annotations

LATE = 1.0  # s by which a frame may come after one that is shown later; more, and the clock went back
STALE = 1.0  # s without a frame that moves on, after which a clock stands still
AHEAD = 10.0  # s by which timestamps may run before arrival, as they do when a camera sends what it kept; more is a jump
FINEST = 0.001  # s: frames whose timestamps are nearer than that are one that came twice
SHORTEST = 0.01  # s between frames that are told apart by their arrival alone
WRAPS = (2**32 / 90_000, 2**33 / 90_000)  # s after which timestamps of RTP (RFC 3550) and MPEG-TS begin again


class Clock:
    """Turn presentation timestamps into seconds from the first frame.

    While timestamps rise as time does they alone count, so that a network that stutters changes nothing. Where they stand still,
    go back or jump ahead, the time of arrival fills the step, and they count again from there. Wraps are no steps.
    """

    def __init__(self) -> None:
        self.resets = 0  # how often timestamps could not be used
        self._seconds: float | None = None
        self._pts: float | None = None
        self._arrived = 0.0
        self._still = False

    def restart(self) -> None:
        """Say that another connection begins, whose timestamps have nothing to do with those before."""
        self._pts = None

    def at(self, pts: float | None, arrived: float) -> float | None:
        """Return the seconds of a frame; None for one that comes too late to be shown, or twice.

        Args:
            pts: its timestamp, in seconds; None where it has none.
            arrived: when it arrived, in seconds of a clock that never goes back.
        """
        if self._seconds is None:
            self._seconds, self._pts, self._arrived = 0.0, pts, arrived
            return 0.0
        elapsed = max(arrived - self._arrived, 0.0)
        step = self._step(pts, elapsed)
        if step is None:
            return None
        self._seconds += step
        self._pts, self._arrived = pts, arrived
        return self._seconds

    def _step(self, pts: float | None, elapsed: float) -> float | None:
        if pts is None or self._pts is None:
            return max(elapsed, SHORTEST)
        step = _unwrapped(pts - self._pts, elapsed)
        step = 0.0 if abs(step) < FINEST else step
        if 0 < step <= elapsed + AHEAD:
            self._still = False
            return step
        if step == 0 and self._still:
            return elapsed if elapsed >= SHORTEST else None
        if -LATE < step <= 0 and elapsed < STALE:
            return None
        self.resets += 1
        self._still = step == 0
        return max(elapsed, SHORTEST)


def _unwrapped(step: float, elapsed: float) -> float:
    if step < 0:
        for wrap in WRAPS:
            if 0 < step + wrap <= elapsed + AHEAD:
                return step + wrap
    return step
