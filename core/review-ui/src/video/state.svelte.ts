/** What the video screen shows of a clip, and what the person is asked; the screen's commands act on this. */
import { api } from "../api/client";
import type { Item, Made } from "../api/types";
import { app } from "../app.svelte";
import { go } from "../router";
import { NO_TRACK, Refusal } from "./clip";
import type { Box, Film, Frame, Gesture, Mark } from "./clip";
import type { Editing } from "./editing";
import * as edits from "./edits";
import { Happening } from "./happening.svelte";
import { Nudge } from "./nudge";
import { kindNow, rowKey, rowOf, trackKey, trackOf, type Merging, type Question } from "./selection";
import { shownLabel } from "./shown";
import { asking, markAt, successor, tracksOf } from "./tracks";
import type { Track } from "./tracks";
import { Walking } from "./walking.svelte";

export class ClipState {
  readonly editing: Editing;
  film = $state.raw<Film>() as Film;
  /** What of the clip is asked about: frames in this lane. */
  lane = $state("review");
  frame = $state(0);
  key = $state<number | null>(null);
  partner = $state<number | null>(null);
  merging = $state.raw<Merging>(null);
  playing = $state(false);
  /** The item of the frame shown, in full, once it is here. */
  detail = $state.raw<Item | null>(null);
  /** Gestures that were not done, so that what the picture shows of them goes. */
  refusals = $state(0);
  /** The class that is drawn next. */
  drawing = $state("");

  /** Tracks and events. */
  rows = $derived.by(() => {
    const all = tracksOf(this.film, this.lane);
    return [...all.filter((one) => one.event), ...all.filter((one) => !one.event)];
  });
  tracks = $derived(this.rows.filter((one) => !one.event));
  here = $derived<Frame>(this.film.frames[this.frame]!);
  track = $derived(this.tracks.find((track) => track.id === trackOf(this.key)) ?? null);
  mark = $derived(
    trackOf(this.key) !== NO_TRACK
      ? (markAt(this.film, trackOf(this.key), this.frame) ?? null)
      : (this.here.marks.find((mark) => mark.row === rowOf(this.key)) ?? null),
  );
  kind = $derived(kindNow(this.mark, this.rows, this.key));
  left = $derived(asking(this.tracks));
  waiting = $derived(this.film.frames.filter((frame) => frame.lane === this.lane).length);
  question = $derived.by((): Question => {
    const waits = this.here.lane === this.lane;
    const { selected, denying } = this.events;
    if (selected && denying?.track === selected.track) return { about: "denial", event: selected, word: denying.word };
    if (selected?.asked && !this.events.given.has(selected.track)) return { about: "event", event: selected };
    if (selected) return { about: this.waiting ? "nothing" : "done" };
    if (this.track?.open) return { about: "track", track: this.track };
    if (!this.track && this.mark?.open && waits) return { about: "label", mark: this.mark };
    if (waits && !this.mark && !this.track)
      return { about: "frame", open: this.here.marks.filter((mark) => mark.open).length };
    return { about: this.waiting ? "nothing" : "done" };
  });
  /** The frame shown can be answered only as a picture: its labels are judged together. */
  wholly = $derived(this.here.asks !== "" || this.here.lane === "adjudicate");
  /** The labels of the frame, by the keys of the viewer. */
  entries = $derived(
    this.here.marks.flatMap((mark, i) => {
      const label = shownLabel(this.detail, this.here, mark, app.schema);
      return label ? [{ key: this.keyOf(mark, i), label, open: mark.open }] : [];
    }),
  );

  /** The person may decide, and not only look. */
  readonly may = app.session.role !== "viewer";

  readonly events = new Happening(this);
  readonly walk = new Walking(this);

  readonly #nudge = new Nudge();

  constructor(editing: Editing, frame: number) {
    this.editing = editing;
    this.film = editing.film;
    this.frame = frame;
    const opened = this.here.lane || (this.film.frames.find((one) => one.lane)?.lane ?? "review");
    this.lane = opened;
    editing.onchange(() => (this.film = editing.film));
    this.begin();
  }

  /** Select what to ask about first: an event, a track that is open here, else any. `stay` on the frame. */
  begin(stay = false): void {
    const { left } = this.events;
    const shown = left.find((one) => one.spots.some((spot) => spot.frame === this.frame));
    if (left.length && !stay) return this.events.choose(shown ?? left[0]!);
    const here = this.left.find((track) => this.here.marks.some((mark) => mark.open && mark.track === track.id));
    const first = here ?? (stay ? undefined : this.left[0]);
    if (first) this.choose(first, here !== undefined);
  }

  /** Follow what was undone or done again: a track that is open again is asked about. */
  async follow(made: readonly Made[]): Promise<void> {
    const before = new Map(this.rows.map((track) => [track.id, track.open]));
    if (!(await this.editing.heard(made))) return;
    // Who gives a second opinion sees other labels than those that hold.
    if (made.some((one) => one.state.lane === "second" || one.state.lane === "adjudicate")) await this.renew();
    const events = this.events.left.filter((one) => (before.get(one.track) ?? 0) === 0);
    if (events.length === 1) return this.events.choose(events[0]!);
    const again = this.left.filter((track) => track.open > (before.get(track.id) ?? 0));
    if (again.length === 1) this.choose(again[0]!, true);
    else if (!this.track?.open) this.begin(true);
  }

  /** Ask for the clip as it is now. */
  async renew(): Promise<void> {
    this.events.forget();
    await this.editing.settled();
    await this.editing.reload();
  }

  keyOf(mark: Mark, i: number): number {
    const again = mark.track === NO_TRACK || this.here.marks.findIndex((one) => one.track === mark.track) < i;
    return again ? rowKey(mark.row) : trackKey(mark.track);
  }

  className(cls: number): string {
    return app.schema.classes[cls]?.name ?? "?";
  }

  /** Fetch the item of the frame shown. */
  async look(): Promise<void> {
    const { item, annotation } = this.here;
    const known = this.detail;
    if (known?.id === item && known.state.annotation === annotation) return;
    const found = await api.item(item);
    if (this.here.item === item) this.detail = found;
  }

  /** Show a frame. */
  seek(frame: number): void {
    this.flush();
    this.frame = Math.max(0, Math.min(this.film.frames.length - 1, frame));
    if (rowOf(this.key) >= 0) this.key = null;
  }

  /** Show the frame of an item, if it is of this clip. */
  has(item: string): boolean {
    const frame = this.film.frames.findIndex((one) => one.item === item);
    if (frame >= 0 && frame !== this.frame) this.seek(frame);
    return frame >= 0;
  }

  /** Select a label by its key; while merging, the other track. */
  select(key: number | null): void {
    this.flush();
    this.events.denying = null;
    const other = trackOf(key);
    if (this.merging?.step === "choose" && other !== NO_TRACK && other !== this.track?.id) return this.merge(other);
    if (this.walk.track !== null && this.walk.track !== other) this.walk.close();
    this.key = key;
    this.partner = null;
    if (this.merging) this.merging = null;
  }

  /** Mark a second track, to merge. */
  pair(track: number): void {
    if (this.track && track !== this.track.id) this.partner = this.partner === track ? null : track;
    else this.select(trackKey(track));
  }

  /** Ask about a track: at its first open suspect, unless `stay`; else where it is seen. */
  choose(track: Track, stay = false): void {
    this.select(trackKey(track.id));
    // Of what is doubted, the shortest stretch: most likely one moment at which it goes wrong.
    const doubts = track.suspects.filter((one) => one.open).sort((a, b) => a.last - a.frame - (b.last - b.frame));
    const suspect = doubts[0]?.frame;
    const open = track.spots.find((spot) => spot.mark.open)?.frame ?? track.spots[0]!.frame;
    if (stay) return;
    if (suspect !== undefined) this.seek(suspect);
    else if (!markAt(this.film, track.id, this.frame)) this.seek(open);
  }

  /** Go to what is asked next: a track, else a frame; tell if nothing is left. */
  advance(): void {
    const [event] = this.events.left;
    if (event) return this.events.choose(event);
    const next = this.left[0];
    if (next) return this.choose(next);
    this.select(null);
    const waits = (frame: Frame) => frame.lane === this.lane;
    const at = this.film.frames.findIndex((frame, i) => i > this.frame && waits(frame));
    const frame = at >= 0 ? at : this.film.frames.findIndex(waits);
    if (frame >= 0) this.seek(frame);
    else app.announce("This clip is done.");
  }

  /** Do a gesture; what can't be done is said. Returns whether it was done. */
  act(make: (film: Film) => Gesture): boolean {
    this.flush();
    try {
      if (!this.may) throw new Refusal("You may look at this project, and not change it.");
      const { film } = this.editing;
      const gesture = make(film);
      if (!gesture.opinion && [...gesture.steps.keys()].some((frame) => film.frames[frame]?.asks))
        throw new Refusal("You are asked for your opinion: answer the events, or open the frame as a picture.");
      this.editing.do(gesture, this.frame);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error instanceof edits.Overlap) throw error;
      app.toast(error.message);
      this.refusals += 1;
      return false;
    }
  }

  /** Answer what is asked. `whole`: about the frame, whatever is selected. */
  answer(action: "accept" | "repair" | "unsure", whole = false): void {
    if (this.events.unsaid()) return;
    const { track, mark, frame } = this;
    const asked = this.question.about;
    if (this.events.selected && (asked === "event" || action !== "accept"))
      return action === "unsure" ? this.events.unsure() : this.events.answer(action === "accept");
    const about = whole ? "frame" : asked;
    // What a second person is asked about a picture is asked where the whole of it is judged.
    if (about === "frame" && this.wholly) return go("item", this.here.item);
    if (action === "accept" && (about === "nothing" || about === "done")) return this.advance();
    const ways = { accept: edits.acceptTrack, repair: edits.repairTrack, unsure: edits.unsureTrack };
    const done = this.act((film) => {
      if (about === "frame") return edits.answerFrame(film, frame, action);
      if (track) return ways[action](film, track.id, this.lane);
      if (mark) return edits.answerRow(frame, mark.row, action);
      throw new Refusal("Select a track or a label first.");
    });
    if (!done) return;
    // Frame after frame, while they wait.
    if (about === "frame" && this.film.frames[frame + 1]?.lane === this.lane) this.seek(frame + 1);
    else if (this.waiting) this.advance();
    else app.announce("This clip is done.");
  }

  /** Do something with the selected track. */
  withTrack(make: (film: Film, track: Track) => Gesture): boolean {
    const { track } = this;
    if (track) return this.act((film) => make(film, track));
    app.toast("Select a track first.");
    return false;
  }

  /** Begin to merge, or merge with the track that is marked. */
  merge(other: number | null = this.partner): void {
    const { track } = this;
    if (!track) return app.toast("Select a track first.");
    if (other === null) {
      this.merging = { step: "choose" };
      this.partner = successor(this.tracks, track);
      return;
    }
    // What begins first gives its number.
    const first = this.tracks.find((one) => one.id === track.id || one.id === other)!;
    this.join(first.id, first.id === other ? track.id : other);
  }

  join(a: number, b: number, keep?: number): void {
    this.merging = null;
    this.partner = null;
    try {
      if (this.act((film) => edits.mergeTracks(film, a, b, keep))) this.key = trackKey(a);
    } catch (error) {
      if (!(error instanceof edits.Overlap)) throw error;
      this.merging = { step: "keep", a, b, frames: error.frames };
    }
  }

  cancel(): void {
    if (this.walk.track !== null) this.walk.close();
    else if (this.events.denying) this.events.denying = null;
    else if (this.events.adding) this.events.adding = false;
    else if (this.merging || this.partner !== null) [this.merging, this.partner] = [null, null];
    else this.select(null);
  }

  /** A label was moved or reshaped; arrow keys in a row (`step`) are one gesture. */
  reshaped(key: number, kind: string, box: Box, shape: unknown, step: number): void {
    const [track, row] = [trackOf(key), rowOf(key)];
    const [frame, own] = [this.frame, kind === "box" ? undefined : shape];
    this.#nudge.push(step, () =>
      this.act((film) =>
        track === NO_TRACK
          ? edits.changeRow(film, frame, row, { box, ...(own !== undefined && { shape: own }) })
          : edits.moveBox(film, track, frame, box, own),
      ),
    );
  }

  /** Send what the arrow keys moved. */
  flush(): void {
    this.#nudge.flush();
  }
}
