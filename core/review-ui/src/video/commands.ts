/** What the keys and buttons of the video screen do. */
import { app } from "../app.svelte";
import type { Command, Handler } from "../keys";
import type { Tool } from "../viewer/types";
import type { Viewer } from "../viewer/viewer";
import { classOfDigit } from "../work/schema";
import * as acts from "./acts";
import * as edits from "./edits";
import * as moves from "./moves";
import type { ClipState } from "./state.svelte";

/** What the screen does itself. */
export interface Screen {
  play(): void;
  pause(): void;
  nextClip(): void;
  previousClip(): void;
  viewer(): Viewer | null;
  tool(name: Tool): void;
  drawing(): boolean;
  hide(on: boolean): void;
  search(): void;
  why(): void;
  turn(direction: "undo" | "redo"): void;
}

type Handlers = Partial<Record<Command, Handler>>;

export function commands(clip: ClipState, screen: Screen): { item: Handlers; video: Handlers; global: Handlers } {
  const step =
    (by: number): Handler =>
    () => {
      screen.pause();
      clip.seek(clip.frame + by);
    };
  /** Do something that is about one frame: the picture may want the key first, as Enter closes a polygon; and playing ends. */
  const still =
    (act: () => void): Handler =>
    ({ event }) => {
      screen.pause();
      if (!event.isTrusted || !screen.viewer()?.key(event)) act();
    };
  const { events, walk } = clip;
  /** A key that is about the crops while one walks through them. */
  const cropwise =
    (crops: () => void, else_: Handler): Handler =>
    (press) =>
      walk.track === null ? else_(press) : crops();
  const accept = () => {
    if (events.unsaid()) return;
    if (walk.track !== null) return walk.yes();
    if (clip.merging?.step === "choose") return clip.partner === null ? undefined : clip.merge();
    if (clip.question.about === "done") return screen.nextClip();
    clip.answer("accept");
  };
  const acceptFrame = () => {
    if (walk.track !== null || clip.merging || clip.question.about === "done" || clip.here.lane !== clip.lane)
      return accept();
    clip.answer("accept", true);
  };
  const draw = (name: Tool) => () => {
    const fits = (cls: string) => app.schema.classes.some((one) => one.name === cls && one.kinds.includes(name));
    const own = clip.track && !clip.mark ? clip.className(clip.track.classes[0]![0]) : clip.drawing;
    const cls = fits(own) ? own : app.schema.classes.find((one) => !one.abstract && one.kinds.includes(name))?.name;
    if (!cls) return app.toast("No class of the schema has this geometry.");
    clip.drawing = cls;
    screen.tool(name);
  };
  // Tab goes through the tracks only while the picture has the focus; elsewhere it goes on as everywhere.
  const around =
    (way: 1 | -1): Handler =>
    () => {
      if (!screen.viewer()?.element.contains(document.activeElement)) return false;
      screen.pause();
      return moves.cycle(clip, way);
    };
  return {
    item: {
      accept: still(accept),
      acceptItem: still(acceptFrame),
      repair: still(() => (clip.lane === "repair" ? undefined : clip.answer("repair"))),
      reject: still(() => (events.unsaid() ? undefined : events.selected ? events.remove() : acts.remove(clip))),
      class: ({ digit }) => {
        const cls = classOfDigit(app.schema, digit, clip.kind);
        if (cls) acts.classify(clip, cls.name);
      },
      classSearch: screen.search,
      nextObject: around(1),
      previousObject: around(-1),
      next: screen.nextClip,
      previous: screen.previousClip,
      hide: ({ down }) => screen.hide(down),
      why: screen.why,
      box: still(draw("box")),
      rotatedBox: still(draw("rotated_box")),
      polygon: still(draw("polygon")),
      edit: still(() => {
        if (clip.key !== null) screen.viewer()?.zoomTo(clip.key);
        screen.viewer()?.element.focus();
      }),
      fit: () => screen.viewer()?.fit(),
      zoomIn: still(() => undefined),
      zoomOut: still(() => undefined),
      cancel: still(() => (screen.drawing() ? screen.tool("select") : clip.cancel())),
    },
    video: {
      play: screen.play,
      frameBack: cropwise(() => walk.go(walk.at - 1), step(-1)),
      frameOn: cropwise(() => walk.go(walk.at + 1), step(1)),
      frameBack10: step(-10),
      frameOn10: step(10),
      firstFrame: step(-Infinity),
      lastFrame: step(Infinity),
      previousKeyframe: still(() => moves.keyframe(clip, -1)),
      nextKeyframe: still(() => moves.keyframe(clip, 1)),
      nextSuspect: cropwise(
        () => walk.doubt(1),
        still(() => moves.suspect(clip, 1)),
      ),
      previousSuspect: cropwise(
        () => walk.doubt(-1),
        still(() => moves.suspect(clip, -1)),
      ),
      split: still(() => acts.split(clip)),
      merge: still(() => clip.merge()),
      interpolate: still(() => acts.interpolate(clip)),
      outside: still(() => clip.withTrack((film, track) => edits.removeFrom(film, track.id, clip.frame))),
      occluded: still(() => acts.occlude(clip)),
      deleteTrack: still(() => {
        if (events.unsaid()) return;
        if (events.selected) return events.remove();
        if (clip.withTrack((film, track) => edits.deleteTrack(film, track.id))) clip.advance();
      }),
      unsureTrack: still(() => clip.answer("unsure")),
      yes: still(() => (events.denying ? events.answer(true) : accept())),
      no: still(() => {
        if (walk.track !== null) return walk.no();
        if (events.selected) return events.answer(false);
        app.toast(
          clip.track ? "Walk through the track with R first, or split it here with S." : "Select an event first.",
        );
      }),
      nextEvent: () => events.step(1),
      previousEvent: () => events.step(-1),
      widerLoop: () => events.widen(1),
      shorterLoop: () => events.widen(-1),
      startHere: still(() => events.move("start")),
      endHere: still(() => events.move("end")),
      addEvent: still(() => (events.adding = !events.adding)),
      walk: still(() => void walk.toggle()),
    },
    global: { undo: () => screen.turn("undo"), redo: () => screen.turn("redo") },
  };
}
