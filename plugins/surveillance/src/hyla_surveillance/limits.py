"""Hold the thresholds of behaviour, with their units and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hyla.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Limits:
    """Hold from when on something is an event. All are settings; a zone's own `seconds` goes before the one given here.

    Args:
        loitering_s: seconds that a person stays; 30 is what video management systems come with (Axxon One, "event duration";
            others let 3 to 1800 be set).
        loitering_m: metres, radius of the place that the person stays in; 3.
        intrusion_s: seconds that a foot point is in a restricted zone; 1.
        line_m: metres beyond a line from which it counts as crossed, so that who stands on it does not cross it again and again.
        wrong_way_deg: degrees between the way somebody goes and that of the zone; 120.
        wrong_way_s: seconds that it lasts; 2.
        wrong_way_m: metres gone against the zone's direction; 1.
        abandoned_s: seconds that a thing stands still; 60, as i-LIDS' abandoned baggage scenario has it.
        owner_m: metres from the thing beyond which its owner is away; 3, as in PETS 2006.
        owner_s: seconds that the owner is away; 30, as in PETS 2006.
        still_m: metres that a thing's place may wander while it stands still, since boxes are never quite the same.
        crowd_density: people per square metre; 4, from which a crowd pushes (Fruin, "The causes and prevention of crowd
            disasters", 1993).
        crowd_danger: people per square metre from which evidence says danger; 5 (the same).
        crowd_count: people in a `crowd` zone that are not too many yet; 10.
        crowd_s: seconds that either lasts; 5.
        running_mps: metres per second; 3, as walking ends at 2 to 2.5 for most people.
        running_s: seconds that it lasts; 1.
        fall_s: seconds within which somebody who stood is found lying; 0.5.
        lying_s: seconds that the person stays lying; 2.
        standing_ratio: height by width of the box from which somebody stands; 1.2.
        lying_ratio: height by width of the box up to which somebody lies; 0.8.
        gap_s: seconds for which a person or vehicle may be hidden, or change its track, without beginning anew; 5.
        thing_gap_s: the same of things, before which people stand; 15.

    Raises:
        ConfigError: for a value that is not more than 0, or a ratio of lying that is not below that of standing.
    """

    loitering_s: float = 30.0
    loitering_m: float = 3.0
    intrusion_s: float = 1.0
    line_m: float = 0.3
    wrong_way_deg: float = 120.0
    wrong_way_s: float = 2.0
    wrong_way_m: float = 1.0
    abandoned_s: float = 60.0
    owner_m: float = 3.0
    owner_s: float = 30.0
    still_m: float = 0.5
    crowd_density: float = 4.0
    crowd_danger: float = 5.0
    crowd_count: float = 10.0
    crowd_s: float = 5.0
    running_mps: float = 3.0
    running_s: float = 1.0
    fall_s: float = 0.5
    lying_s: float = 2.0
    standing_ratio: float = 1.2
    lying_ratio: float = 0.8
    gap_s: float = 5.0
    thing_gap_s: float = 15.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < np.inf:
                raise ConfigError(f"behaviour.{one.name} is {value!r}", "give a number more than 0")
        if self.wrong_way_deg >= 180:
            raise ConfigError(f"behaviour.wrong_way_deg is {self.wrong_way_deg}", "give degrees below 180")
        if self.lying_ratio >= self.standing_ratio:
            raise ConfigError(
                f"behaviour.lying_ratio is {self.lying_ratio} and standing_ratio {self.standing_ratio}",
                "who lies is less high by width than who stands",
            )

    @classmethod
    def of(cls, given: dict[str, float]) -> Limits:
        """Return limits from settings; raise ConfigError for a name that there is not."""
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise ConfigError(f"behaviour has no setting {name!r}", did_you_mean(name, known), known)
        return cls(**given)
