"""Put a certificate into words: the claim, what it assumes, and what it does not say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

WHO = {
    "single": "one reader",
    "double": "two readers and, where they differ, a third",
    "adjudicated": "readers and an adjudicator",
}
# Loss -> the denominator, the claim ({error} is whose error), and what an error is.
CLAIMS = {
    "objects": (
        "labels of the machine and pictures",
        "at most {hundred} errors{error} are left per 100 labels and pictures of lot {lot} "
        "({limit} in all; of one picture, no more count than it has labels, and one)",
        "Wrong, surplus and missing labels all count as errors; a label is right from an overlap (IoU) of {iou}",
    ),
    "pictures": (
        "pictures",
        "at most {percent} of the {n} pictures of lot {lot} hold an error{error}",
        "One wrong, surplus or missing label makes an error of a picture; a label is right from an overlap (IoU) of {iou}",
    ),
    "tags": (
        "pictures",
        "at most {percent} of the {n} pictures of lot {lot} have a wrong tag{error}",
        "A missing tag is a wrong one",
    ),
    "pixels": (
        "pictures",
        "the areas in the {n} pictures of lot {lot} are off by at most {percent} in the mean{error}",
        "A picture is off by 1 - {measure}, in the mean over the classes that it has",
    ),
}
OTHER = ("parts", "the error{error} that is left in lot {lot} is at most {percent}", "An error is what the loss {name} says")
MEASURES = {"iou": "IoU", "dice": "Dice"}


def percent(share: float | None, digits: int = 3) -> str:
    """Return a share in per cent, to so many digits that count: `0.0213` is `2.13 %`."""
    return "none" if share is None else f"{100 * share:.{digits}g} %"


def number(value: float) -> str:
    """Return a number with commas between the thousands, and no more digits than it needs."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:,.3g}"


def duration(seconds: float) -> str:
    """Return a time as people say it: `3 h 20 min`, `4 min`, `12 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


FILTERS: dict[str, Callable[..., str]] = {"percent": percent, "number": number, "duration": duration}


def denominator(loss: Mapping[str, Any]) -> str:
    """Return what the sizes of units count."""
    return CLAIMS.get(loss["name"], OTHER)[0]


def error(loss: Mapping[str, Any]) -> str:
    """Return what counts as an error, in one sentence."""
    measure = MEASURES.get(loss.get("measure", ""), "overlap")
    said = CLAIMS.get(loss["name"], OTHER)[2].format(name=loss["name"], iou=loss.get("iou", ""), measure=measure) + "."
    return said + _named(loss, " A label with another {} is wrong.")


def _named(loss: Mapping[str, Any], words: str) -> str:
    """Return words about the identity attributes, or nothing where the schema has none or the loss is of pixels."""
    names = loss.get("identities", ()) if loss["name"] in ("objects", "pictures", "tags") else ()
    return words.format(" or ".join(names)) if names else ""


def sentence(
    loss: Mapping[str, Any],
    lot: int,
    *,
    eps: float,
    delta: float,
    size: float,
    strata: int,
    protocol: str,
    seeded: bool,
    simulated: bool,
) -> str:
    """Return the claim in one sentence, as `Certificate` names what it is made of; `size` is the denominator."""
    who = ", those that readers overlook included," if seeded else f" that {WHO[protocol]} would put right"
    said = CLAIMS.get(loss["name"], OTHER)[1].format(
        lot=lot,
        percent=percent(eps),
        hundred=f"{100 * eps:.3g}",
        limit=number(math.floor(eps * size + 1e-9)),
        n=number(size),
        error=who,
    )
    draw = "the draw of the audit and the planted errors" if seeded else "the draw of the audit"
    each = f", and no more in any of its {strata} strata" if strata > 1 else ""
    return (
        f"{'SIMULATED, no person looked: with' if simulated else 'With'} probability at least {percent(1 - delta, 4)} over "
        f"{draw}, {said.rstrip(',')}{each}."
    )


def refused(lot: int, least: float, simulated: bool) -> str:
    """Return what is said where a second pass is needed."""
    return (
        f"{'SIMULATED, no person looked. ' if simulated else ''}No certificate: for lot {lot} a second pass is needed, since the "
        f"reviewers are only known to see {percent(least)} of the errors, and they may have overlooked more than may be left."
    )


def assumptions(protocol: str, seeded: bool, mode: str) -> tuple[str, ...]:
    """Return what must hold for the claim to hold."""
    found = [
        "The lot was frozen before the seed of the audit was made, and nobody chose the seed. Nothing is assumed of the machine, "
        "its scores, or how the data came about.",
    ]
    if seeded:
        found += [
            "An error of the machine is as easy to see as a planted one of its kind, and errors are overlooked independently.",
            "Pictures that people answered before the freeze were looked at as well as those of the lot.",
        ]
    else:
        found.append(
            f"The word of {WHO[protocol]} is taken as right: no errors were planted to learn what they overlook, "
            "so the claim is one of agreement with them."
        )
    if protocol != "single" and not seeded:
        found.append("Only the audit was answered more than once: in the review, what one reader answered is taken as right.")
    if mode == "early":
        found.append("The audit was stopped at a time that nobody fixed in advance; the test allows for that at any time.")
    return tuple(found)


def not_covered(
    loss: Mapping[str, Any], unit: str, *, strata: int, seeded: bool, simulated: bool, clipped: float, given_up: int
) -> tuple[str, ...]:
    """Return what the claim says nothing of."""
    found = [
        "Other data: pictures that are not in the lot, other days, sites or cameras. Each lot needs an audit of its own.",
        "Changes after the freeze: a lot whose labels were changed by a machine must be frozen and audited again.",
        f"Any single label or {unit}: the claim is a rate over the lot" + (" and over each stratum." if strata > 1 else "."),
        "Parts of the lot that were chosen afterwards"
        + (
            ": only the strata in the table were fixed before the draw."
            if strata > 1
            else ", such as one class or one site: it was not divided."
        ),
    ]
    if not seeded:
        found.append("Errors that readers overlook, both in the audit and in the review.")
    else:
        found.append("Kinds of error that were not planted, if readers see them less well than those that were.")
    if "iou" in loss:
        found.append(f"How exact shapes are beyond an overlap (IoU) of {loss['iou']:g}, from which a label counts as right.")
    if loss.get("name") != "tags":
        named = _named(loss, ", {}")
        found.append(f"Scores, tracks and {'other ' * bool(named)}attributes: only class{named} and geometry were compared.")
    if loss.get("name") == "objects":
        found.append(
            f"Errors in one {unit} beyond as many as it has labels, and one for each picture: they count as that many. Of the "
            f"errors that the audit saw in what was left out, {percent(clipped)} lay beyond."
        )
    if given_up:
        found.append(
            f"Earlier tries: {given_up} lot{'s' if given_up > 1 else ''} over these pictures had been drawn and given up; each "
            "had a chance of its own to make a false claim."
        )
    if simulated:
        found.append("People: a program answered from the truth in their place.")
    return tuple(found)
