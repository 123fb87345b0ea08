#!/usr/bin/env python3
"""Check a bundle of evidence: `python3 verify.py`, or `python3 verify.py --head HASH`.

Needs Python 3.8 or newer and nothing else; no network, and nothing of Hyla. Writes nothing. Ends with 0 if all holds, else 1.
VERIFY.md beside it says in plain words what is checked, and what can't be.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

SUMS = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  ([^\r\n]+)")
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)  # of a file that somebody changed
NOT_PROVED = (
    "that the ledger is the project's own, and whole: compare the head above with what `hyla verify` prints there",
    "that the people are who their names say, and that the clock of the machine was right",
    "that no later decision on these frames was left out, such as one that takes an answer back: ask the project",
    "that the recording was not changed before Hyla read it; the clip was redacted and encoded anew, on purpose",
    "that event.json says what the people saw: whoever holds the project can show the labels that the digests are of",
)


def main(folder: Path, head: str | None = None) -> int:
    """Check the bundle in `folder`, print what was found, and return 0 if all holds, else 1."""
    problems: list[str] = []
    proved = files(folder, problems)
    known = chain(folder, problems, proved, head)
    for path in sorted(folder.glob("*/event.json")):
        event(path, known, problems, proved)
    if problems:
        lines = [f"NOT TRUE    {line}" for line in problems]
    else:
        lines = [f"PROVED      {line}" for line in proved] + [f"NOT PROVED  {line}" for line in NOT_PROVED]
    sys.stdout.write("\n".join([*lines, "the bundle does NOT hold" if problems else "the bundle holds"]) + "\n")
    return 1 if problems else 0


def files(folder: Path, problems: list[str]) -> list[str]:
    """Compare each file with SHA256SUMS, which must name all there are."""
    try:
        data = (folder / SUMS).read_bytes()
        lines = data.decode("utf-8").split("\n")
    except UNREADABLE as error:
        problems.append(f"{SUMS} can't be read: {error}")
        return []
    if lines.pop() != "":
        problems.append(f"the last line of {SUMS} is cut off")
    named = []
    for number, text in enumerate(lines, 1):
        found = LINE.fullmatch(text)
        if not found or ".." in found.group(2).split("/") or found.group(2).startswith("/"):
            problems.append(f"line {number} of {SUMS} is no sum of a file")
            continue
        named.append(found.group(2))
        try:
            if sha256(folder / found.group(2)) != found.group(1):
                problems.append(f"{found.group(2)} was changed")
        except UNREADABLE:
            problems.append(f"{found.group(2)} is gone, or can't be read")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    problems += [f"{name} was added: {SUMS} does not name it" for name in sorted(there - {SUMS, *named})]
    if len(set(named)) != len(named):
        problems.append(f"{SUMS} names a file twice")
    whole = hashlib.sha256(data).hexdigest()
    return [f"{len(named)} files are as they were written; the sha256 of {SUMS} itself is {whole}"]


def chain(folder: Path, problems: list[str], proved: list[str], wanted: str | None) -> list[dict[str, Any]]:
    """Follow ledger.jsonl from its beginning to its head, and return the decisions that it tells in full."""
    full: list[dict[str, Any]] = []
    try:
        lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
        first, links, last = lines[0], lines[1:-1], lines[-1]
        before = hashlib.sha256(f"hyla ledger of {first['project']}".encode()).hexdigest()
        if first["genesis"] != before:
            problems.append(f"the ledger does not begin as that of project {first['project']}")
        seen = wanted is None or wanted == before
        for number, one in enumerate(links, 1):
            if one["seq"] != number or one["prev_hash"] != before:
                problems.append(f"decision {one['seq']} does not follow from the one before it")
            if len(one) > 3:
                full.append(one)
                if hash_of(one) != one["hash"]:
                    problems.append(f"decision {one['seq']} was changed: its hash does not fit")
            before = one["hash"]
            seen = seen or before == wanted
        told = {(one["item_id"], one["seq"]) for one in full}
        for one in full:
            under = one["before"]["decision"]
            if under and (under >= one["seq"] or (one["item_id"], under) not in told):
                problems.append(f"decision {one['seq']} rests on decision {under} on the same frame, which is not told in full")
        if last["decisions"] != len(links) or last["head"] != before:
            problems.append("the ledger does not end where it says")
        if not seen:
            problems.append("the head given is not in the ledger: it is of another one, or this one was cut at its end")
    except UNREADABLE as error:
        problems.append(f"ledger.jsonl can't be read: {error!r}")
        return full
    proved.append(f"{len(full)} decisions about the frames of these events, told in full, have the hashes that the ledger holds")
    proved.append(f"the ledger of {len(links)} decisions is one unbroken chain; its head is {before}")
    return full


def event(path: Path, known: list[dict[str, Any]], problems: list[str], proved: list[str]) -> None:
    """Find in the ledger the answers that an event rests on: each by a person, on one of its frames, at that time."""
    name = path.parent.name
    try:
        one = json.loads(path.read_text(encoding="utf-8"))
        said = [(answer["who"], answer["at"]) for answer in one["answered"]]
        items = set(one["items"])
        for who, at in said:
            made = [d for d in known if d["who"] == who and d["at"] == at and d["item_id"] in items]
            if not made:
                problems.append(f"{name}: the ledger has no answer of {who} at {at}")
            elif not any(counts(who, d, known) for d in made):
                problems.append(f"{name}: what {who} said at {at} confirms nothing")
        if len({person(who) for who, _ in said}) < one["needed"]:
            problems.append(f"{name} needs {one['needed']} people, and names {len(said)}")
        silent = items - {d["item_id"] for d in known}
        problems += [f"{name}: the ledger tells of no decision on item {item}" for item in sorted(silent)]
    except UNREADABLE as error:
        problems.append(f"{name}/event.json can't be read: {error!r}")
        return
    words = ", ".join(f"{who} ({at})" for who, at in said)
    proved.append(f"{name} was answered by {words}; frames: {len(items)}")


def counts(who: str, made: dict[str, Any], known: list[dict[str, Any]]) -> bool:
    """Tell whether what a person decided confirms something, by itself or since an adjudicator chose it."""
    chosen = [d for d in known if d["action"] == "adjudicate" and d["before"]["decision"] == made["seq"]]
    return any(person(who) in d["after"].get("said", {}) for d in [made, *chosen])


def person(who: str) -> str:
    """Return what a person is known by: names that differ in nothing but case, spaces or width are one."""
    return "".join(unicodedata.normalize("NFKC", who).casefold().split())


def hash_of(decision: dict[str, Any]) -> str:
    """Return the sha256 of a decision without its own hash, as canonical JSON: keys sorted, no spaces, UTF-8."""
    rest = {name: value for name, value in decision.items() if name != "hash"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3) or (len(sys.argv) == 3 and sys.argv[1] != "--head"):
        sys.exit("usage: python3 verify.py [--head HASH]")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a console may not know all letters of a name
    sys.exit(main(Path(__file__).resolve().parent, sys.argv[2] if len(sys.argv) == 3 else None))
