/** The question of the item in words, and what may be answered. */
import type { Command } from "../keys";
import type { Flow } from "./flow";

export interface Question {
  text: string;
  /** What it is about, in the words of the data: a class name. */
  subject: string;
  rest: string;
  /** Where among several: "3 of 9". */
  place: string;
  /** What else there is to know, in a smaller line. */
  detail?: string;
}

export interface Answer {
  command: Command;
  text: string;
  tone?: "ok" | "bad" | "warn";
  /** What follows from it. */
  hint?: string;
  disabled?: boolean;
}

const VOWEL = /^[aeio](?! )/i;

const LOOK = "Is anything missing? Draw it before you go on.";

/** What a lot asks is about the picture, too: nobody else is going to look at it. */
export function question(flow: Flow): Question {
  const asks = bare(flow);
  const { lane } = flow.work.state;
  const looked = flow.item.reason === "lot" && lane === "review" && flow.stepwise && flow.work.entries().length > 0;
  return looked ? { ...asks, detail: LOOK } : asks;
}

function bare(flow: Flow): Question {
  const { item, work, entry, open, asked } = flow;
  const plain = (text: string): Question => ({ text, subject: "", rest: "", place: "" });
  if (item.mode === "blind") return plain("Draw what you see, then Enter.");
  if (item.mode === "adjudicate") return plain("Two people differ. Which answer is right?");
  if (flow.settled) return plain(work.state.decision ? "This item is done." : "Nothing is asked here.");
  const at = Math.min(asked - open + 1, asked);
  const place = asked > 1 && open > 0 ? `${at} of ${asked}` : "";
  const what = entry && { subject: entry.label.class, place };
  if (item.mode === "second" && !(what && entry.open))
    return { ...plain("Your opinion: correct what is wrong, then Enter."), place };
  if (work.state.lane === "repair" && !(entry && entry.row === null))
    return { ...plain("This was called wrong. Mend it, remove it, or accept it."), place };
  if (what && entry.open) {
    if (entry.label.kind === "tag") return { text: "Does", subject: what.subject, rest: " fit this image?", place };
    return { text: VOWEL.test(what.subject) ? "Is this an" : "Is this a", subject: what.subject, rest: "?", place };
  }
  if (what && flow.work.changedKeys().includes(entry.key))
    return { text: entry.row === null ? "New:" : "Changed:", subject: what.subject, rest: "", place };
  if (what) return { text: "Selected:", subject: what.subject, rest: "", place };
  if (open > 0) return { ...plain(open === 1 ? "One label is open." : `${open} labels are open.`), place };
  if (work.entries().length === 0) return plain("Is it right that nothing is here?");
  return plain(work.dirty ? "Are the labels right now?" : "Are all labels of this image right?");
}

/** `shown`: which of two opinions is in view, from 0. */
export function answers(flow: Flow, shown = 0): Answer[] {
  const { item, work, entry, open } = flow;
  if (item.mode === "blind")
    return [
      { command: "acceptItem", text: work.entries().length ? "Done" : "Nothing is here", tone: "ok" },
      { command: "reject", text: "Remove", disabled: !entry },
      { command: "unsure", text: "Unsure", tone: "warn" },
    ];
  if (item.mode === "adjudicate")
    return [
      { command: "acceptItem", text: `Take answer ${shown + 1}${work.dirty ? ", as corrected" : ""}`, tone: "ok" },
      { command: "reject", text: "Remove", disabled: !entry },
      { command: "edit", text: "Edit", disabled: !entry },
    ];
  const empty = work.entries().length === 0;
  const repairing = work.state.lane === "repair";
  const second = item.mode === "second";
  const own = entry?.row === null;
  const all: (Answer | false)[] = [
    { command: "accept", text: empty ? "Yes, nothing" : "Accept", tone: "ok", hint: "Right as it is" },
    !repairing &&
      !second && {
        command: "repair",
        text: empty ? "Something is missing" : "Wrong",
        tone: "bad",
        disabled: own,
        hint: "Somebody mends it later, in the lane Repair",
      },
    !empty && {
      command: "reject",
      text: own ? "Remove" : "Nothing there",
      tone: "bad",
      disabled: !entry,
      hint: "The label goes away",
    },
    !second && { command: "unsure", text: "Unsure", tone: "warn", hint: "A second person looks at it" },
    !empty && { command: "edit", text: "Edit", disabled: !entry, hint: "Change its shape, then accept it" },
    (second || open > 1 || work.dirty) && {
      command: "acceptItem",
      text: second ? "Send my answer" : "Accept all",
      hint: "All labels are right as they are shown",
    },
  ];
  return all.filter((answer) => answer !== false);
}
