/** What the video screen shows of events: which is asked about, the loop that shows it, and what a second person said so far. */
import { app } from "../app.svelte";
import { called } from "../work/schema";
import { detail, question } from "./asked";
import type { Film, Gesture } from "./clip";
import * as events from "./events";
import type { ClipEvent } from "./events";
import { trackKey, trackOf, type Denial } from "./selection";
import type { ClipState } from "./state.svelte";

const WIDEST = 6;

export class Happening {
  readonly #clip: ClipState;
  /** How often the loop was doubled. */
  wider = $state(0);
  /** Counts the loops that were begun, so that the screen plays. */
  starts = $state(0);
  /** Second opinions by track, in their order, that wait for others on the same frames. */
  given = $state.raw<ReadonlyMap<number, boolean>>(new Map());
  /** The form for a new event is open. */
  adding = $state(false);
  /** An event that others confirmed is to be denied, once that was asked. */
  denying = $state.raw<{ readonly track: number; readonly word: Denial } | null>(null);

  all: readonly ClipEvent[] = $derived.by(() => {
    const { film, rows, lane } = this.#clip;
    return events.eventsOf(film, rows, app.schema, lane, app.session.person);
  });
  selected = $derived.by(() => {
    const track = trackOf(this.#clip.key);
    return this.all.find((one) => one.track === track) ?? null;
  });
  left = $derived(this.all.filter((one) => one.asked && !this.given.has(one.track)));
  loop = $derived.by(() => (this.selected ? events.loopOf(this.#clip.film, this.selected, this.wider) : null));
  /** Where the next question stands among all events that were asked about: "3 of 12". */
  place = $derived.by(() => {
    const total = this.all.filter((one) => one.asked || one.wasAsked).length;
    return total ? `${Math.min(total, total - this.left.length + 1)} of ${total}` : "";
  });
  /** Boxes of those who take part, in the frame shown. */
  cast = $derived.by(() => (this.selected ? events.cast(this.#clip.film, this.selected, this.#clip.frame) : []));

  constructor(clip: ClipState) {
    this.#clip = clip;
  }

  /** Select an event and play the loop around it. */
  choose(event: ClipEvent): void {
    this.#clip.select(trackKey(event.track));
    this.wider = 0;
    const first = this.loop?.[0] ?? event.first;
    this.#clip.seek(this.still ? event.first : first);
    if (!this.still) this.starts += 1;
  }

  /** The person wants nothing to move unasked. */
  get still(): boolean {
    return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** Go to the event before or after the selected one; those that are asked about first. */
  step(way: 1 | -1): void {
    const list = this.left.length ? this.left : this.all;
    if (!list.length) return app.toast("This clip has no events.");
    const at = this.all.findIndex((one) => one.track === this.selected?.track);
    const beyond = (one: ClipEvent) => (this.all.indexOf(one) - at) * way > 0;
    const next = way > 0 ? list.find(beyond) : list.findLast(beyond);
    this.choose(next ?? (way > 0 ? list[0]! : list.at(-1)!));
  }

  widen(by: 1 | -1): void {
    if (!this.selected) return app.toast("Select an event first.");
    this.wider = Math.max(0, Math.min(WIDEST, this.wider + by));
    app.announce(`The loop is ${2 * events.BEFORE_S * 2 ** this.wider} seconds long.`);
  }

  /** Say whether the selected event happened, in all of its frames at once, and go on to the next. */
  answer(yes: boolean): void {
    const event = this.selected;
    if (!event) return;
    if (this.denying) return this.#denied(event, this.denying.word, yes);
    if (event.asks && event.asked) return this.#opinion(event, yes);
    if (yes && !event.asked) return this.#on(event);
    if (!yes) return this.#deny(event, "Deny");
    if (this.#clip.act((film) => events.confirmEvent(film, event, this.#clip.lane))) this.#on(event);
  }

  unsure(): void {
    const event = this.selected;
    if (!event) return;
    if (event.asks) return app.toast("A second person says yes or no. To be unsure, open the frame as a picture.");
    if (this.#clip.act((film) => events.unsureEvent(film, event, this.#clip.lane))) this.#on(event);
  }

  /** Count what else is asked about in the frames of a second opinion, and goes with it unchanged. */
  beside(event: ClipEvent): number {
    const frames = event.spots.map((spot) => this.#clip.film.frames[spot.frame]!).filter((frame) => frame.asks);
    const tags = new Set(this.all.map((one) => one.track));
    return frames.flatMap((frame) => frame.marks).filter((mark) => mark.open && !tags.has(mark.track)).length;
  }

  /** Take back the second opinion that was given last and not sent; false if there is none. */
  takeBack(): boolean {
    const last = [...this.given.keys()].at(-1);
    if (last === undefined) return false;
    this.given = new Map([...this.given].slice(0, -1));
    const event = this.all.find((one) => one.track === last);
    if (event) this.choose(event);
    return true;
  }

  /** Forget what was not sent: the clip is another. */
  forget(): void {
    this.given = new Map();
  }

  /** Let the selected event begin, or end, in the frame shown. */
  move(side: "start" | "end"): void {
    this.#withEvent((film, event) => events.moveEvent(film, event, side, this.#clip.frame, app.schema));
  }

  /** Tell whether the page asks if an event goes all the same: Y and N alone answer that, and what came instead is told so. */
  unsaid(): boolean {
    if (!this.denying) return false;
    app.toast(`Press Y to ${this.denying.word.toLowerCase()} it, N to keep it.`);
    return true;
  }

  remove(): void {
    if (this.selected) this.#deny(this.selected, "Remove");
  }

  /** Add an event of a class in the frame shown. */
  add(name: string, participants: readonly number[]): void {
    const cls = events.eventClasses(app.schema).find((one) => one.name === name);
    const track = this.#clip.film.nextEvent;
    if (!cls) return;
    const { frame } = this.#clip;
    if (!this.#clip.act((film) => events.addEvent(film, cls, frame, participants, app.schema))) return;
    this.adding = false;
    this.#clip.select(trackKey(track));
    app.announce(`${called(name)} begins at frame ${frame}. Go to its end and set it there.`);
  }

  /** Deny an event in all of its frames; where others confirmed it, ask before. */
  #deny(event: ClipEvent, word: Denial): void {
    if (!this.#clip.may || !events.othersSaid(event, app.session.person)) return this.#denied(event, word, true);
    this.denying = { track: event.track, word };
    const { text, subject, rest } = question(this.#clip);
    app.announce(`${text} ${subject}${rest}`);
  }

  #denied(event: ClipEvent, word: Denial, yes: boolean): void {
    this.denying = null;
    if (!yes || !this.#clip.act(() => events.denyEvent(event, word))) return;
    if (word === "Deny") this.#on(event);
    else this.#clip.select(null);
  }

  #opinion(event: ClipEvent, yes: boolean): void {
    const given = new Map(this.given);
    given.delete(event.track);
    given.set(event.track, yes);
    const group = events.bound(this.#clip.film, this.all, event);
    if (!group.every((one) => given.has(one.track))) {
      this.given = given;
      app.toast("It is sent with the other events of the same frames.");
      return this.#on(event);
    }
    if (!this.#clip.act((film) => events.opinion(film, group, given))) return;
    this.given = new Map([...given].filter(([track]) => !group.some((one) => one.track === track)));
    this.#on(event);
    // What holds now may be what the first person said. Answers that follow meanwhile are sent all the same.
    void this.#clip.editing.refresh();
  }

  #on(event: ClipEvent): void {
    const at = this.all.findIndex((one) => one.track === event.track);
    const next = this.left.find((one) => one.track !== event.track && this.all.indexOf(one) > at) ?? this.left[0];
    if (!next || next.track === event.track) return this.#clip.advance();
    this.choose(next);
    app.announce(`Next: ${called(next.class)}, ${detail(next)}`);
  }

  #withEvent(make: (film: Film, event: ClipEvent) => Gesture): void {
    const event = this.selected;
    if (event) this.#clip.act((film) => make(film, event));
    else app.toast("Select an event first.");
  }
}
