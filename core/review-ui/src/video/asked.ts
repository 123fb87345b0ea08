/** The question of the video screen in words, and what may be answered. */
import type { Answer, Question } from "../work/question";
import { called } from "../work/schema";
import { clock, count } from "./edits";
import type { ClipEvent } from "./events";
import type { ClipState } from "./state.svelte";

const ANSWERS: Answer[] = [
  { command: "accept", text: "Accept", tone: "ok" },
  { command: "repair", text: "Wrong", tone: "bad" },
  { command: "unsureTrack", text: "Unsure", tone: "warn" },
  { command: "acceptItem", text: "This frame" },
];
const DENIAL: Answer[] = [
  { command: "no", text: "No, keep it", tone: "ok" },
  { command: "yes", text: "Yes", tone: "bad", hint: "The event goes, in all of its frames" },
];
const HAPPENED: Answer[] = [
  { command: "yes", text: "Yes, it happened", tone: "ok", hint: "In all frames of the event at once" },
  { command: "no", text: "No", tone: "bad", hint: "The event goes, in all of its frames" },
  { command: "unsureTrack", text: "Unsure", tone: "warn", hint: "Another person looks at it" },
];

export function question(clip: ClipState): Question {
  const { question: asked, left, waiting, frame } = clip;
  const place = left.length ? `${count(left.length, "track")} left` : waiting ? `${count(waiting, "frame")} left` : "";
  const plain = (text: string): Question => ({ text, subject: "", rest: "", place });
  switch (asked.about) {
    case "event": {
      const { event } = asked;
      const others = event.asks ? clip.events.beside(event) : 0;
      const whole = others
        ? `Yes or no also says that ${count(others, "other label")} asked about there is right.`
        : "";
      const words = [detail(event), whole].filter(Boolean).join(". ");
      const about = { subject: called(event.class), rest: "?", place: clip.events.place, detail: words };
      const texts = {
        "": "Did this happen:",
        second: "Your own opinion: is this",
        adjudicate: "Two people differ: is this",
      };
      return { text: texts[event.asks], ...about };
    }
    case "denial": {
      const { event, word } = asked;
      return {
        text: `${word} this`,
        subject: called(event.class),
        rest: " all the same?",
        place: "",
        detail: `It is ${standing(event)}.`,
      };
    }
    case "track": {
      const { id, spots, runs, classes } = asked.track;
      const [first, last] = [spots[0]!.frame, spots.at(-1)!.frame];
      const gaps = runs.length > 1 ? `, ${count(runs.length - 1, "gap")}` : "";
      const detail = first === last ? `Frame ${first}` : `Frames ${first} to ${last}${gaps}`;
      const about = { subject: called(clip.className(classes[0]![0])), place, detail };
      if (clip.lane === "repair") return { text: `Mend track ${id},`, rest: ", then accept it.", ...about };
      if (first === last) return { text: `Is track ${id} right:`, rest: "?", ...about };
      return { text: `Is track ${id} the same`, rest: " all the way?", ...about };
    }
    case "label":
      return { text: "Is this right:", subject: called(clip.className(asked.mark.class)), rest: "?", place };
    case "frame":
      if (clip.wholly) return plain(`Frame ${frame} wants your opinion as a whole.`);
      if (!asked.open) return plain(`Frame ${frame}: is it right as shown?`);
      return plain(
        `Frame ${frame}: ${asked.open === 1 ? "is the open label" : `are the ${asked.open} open labels`} right?`,
      );
    case "nothing":
      if (clip.events.selected)
        return plain(`This ${called(clip.events.selected.class)}: ${standing(clip.events.selected)}.`);
      return plain(clip.track ? `Track ${clip.track.id} is answered.` : `Frame ${frame} is answered.`);
    case "done":
      return plain("This clip is done.");
  }
}

export function answers(clip: ClipState): Answer[] {
  const { about } = clip.question;
  if (about === "nothing") return [{ command: "accept", text: "Next question", tone: "ok" }];
  if (about === "done") return [{ command: "accept", text: "Next clip", tone: "ok" }];
  if (about === "frame" && clip.wholly) return [{ command: "accept", text: "Open the picture", tone: "ok" }];
  if (about === "denial") return DENIAL;
  const all = (about === "event" ? HAPPENED : ANSWERS).map((answer) => ({ ...answer, disabled: !clip.may }));
  if (clip.question.about === "event" && clip.question.event.asks) return all.slice(0, 2);
  return clip.lane === "repair" ? all.filter((answer) => answer.command !== "repair") : all;
}

/** Say when an event was, who takes part and where. */
export function detail({ start, end, participants, place, needs }: ClipEvent): string {
  const time = start === null ? "" : end === null || end <= start ? clock(start) : `${clock(start)} to ${clock(end)}`;
  const who = participants.length ? `${participants.length > 1 ? "tracks" : "track"} ${participants.join(", ")}` : "";
  const two = needs > 1 ? "two people must say so" : "";
  return [time, who, place && `at ${place}`, two].filter(Boolean).join(" · ");
}

/** Say what people said of an event. */
export function standing({ state, said, asks, waits }: ClipEvent): string {
  const by = said.length ? ` by ${said.join(" and ")}` : "";
  switch (state) {
    case "candidate":
      return "a candidate, nobody said yet";
    case "second":
      return asks ? "needs your second opinion" : `confirmed${by}, needs a second person`;
    case "differ":
      return asks ? "two people differ, you choose" : "two people differ";
    case "confirmed":
      return `confirmed${by}`;
    case "denied":
      return `denied${by}${waits ? ", needs a second person" : ""}`;
    case "accepted":
      return "accepted, nobody was asked";
  }
}
