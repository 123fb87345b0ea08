import { beforeEach, expect, test, vi } from "vitest";
import { FakeElement, local } from "./testing";
import * as keys from "./keys";

interface Pressed {
  key: string;
  code?: string;
  shift?: boolean;
  ctrl?: boolean;
  alt?: boolean;
  altGraph?: boolean;
  repeat?: boolean;
  target?: FakeElement;
}

function event(of: Pressed | string): KeyboardEvent {
  const pressed = typeof of === "string" ? { key: of } : of;
  const prevented = vi.fn();
  return {
    key: pressed.key,
    code: pressed.code ?? "",
    shiftKey: pressed.shift ?? false,
    ctrlKey: pressed.ctrl ?? false,
    metaKey: false,
    altKey: pressed.alt ?? false,
    repeat: pressed.repeat ?? false,
    isComposing: false,
    defaultPrevented: false,
    target: pressed.target ?? new FakeElement(),
    getModifierState: (name: string) => name === "AltGraph" && (pressed.altGraph ?? false),
    preventDefault: prevented,
  } as unknown as KeyboardEvent;
}

let time = 0;
const press = (of: Pressed | string, after = 1000) => keys.keydown(event(of), (time += after));
let unbind: (() => void)[] = [];
const bind: typeof keys.bind = (scope, handlers) => {
  const stop = keys.bind(scope, handlers);
  unbind.push(stop);
  return stop;
};

beforeEach(() => {
  unbind.forEach((stop) => stop());
  unbind = [];
  keys.reset();
});

test("runs the command of a key, and nothing after unbind", () => {
  const accept = vi.fn();
  const stop = bind("item", { accept });
  expect(press("a")).toBe(true);
  stop();
  expect(press("a")).toBe(false);
  expect(accept).toHaveBeenCalledTimes(1);
});

test("a decision neither repeats while held nor fires twice within 120 ms", () => {
  const accept = vi.fn();
  const repair = vi.fn();
  bind("item", { accept, repair });
  press("a");
  press({ key: "a", repeat: true }, 119);
  press({ key: "a" }, 0);
  expect(accept).toHaveBeenCalledTimes(1);
  press("x", 1); // the guard counts from the decision, over all decisions
  expect(repair).toHaveBeenCalledTimes(1);
  press("a", 100);
  expect(accept).toHaveBeenCalledTimes(1);
  press("a", 21);
  expect(accept).toHaveBeenCalledTimes(2);
});

test("only commands that step repeat while held", () => {
  const frameOn = vi.fn();
  const undo = vi.fn();
  bind("video", { frameOn });
  bind("global", { undo });
  press({ key: ".", repeat: true });
  press({ key: "z", repeat: true });
  expect(frameOn).toHaveBeenCalledTimes(1);
  expect(undo).not.toHaveBeenCalled();
});

test("leaves keys to fields, and Enter and Space to buttons", () => {
  const all = { accept: vi.fn(), acceptItem: vi.fn(), unsure: vi.fn() };
  bind("item", all);
  for (const field of ["textarea", "select", "input"])
    expect(press({ key: "a", target: new FakeElement([field]) })).toBe(false);
  const button = new FakeElement(["button"]);
  expect(press({ key: "Enter", target: button })).toBe(false);
  expect(press({ key: " ", code: "Space", target: button })).toBe(false);
  expect(press({ key: "a", target: button })).toBe(true);
  const radio = new FakeElement(["input[type=radio]", "input"]);
  expect(press({ key: " ", target: radio })).toBe(false);
  expect(press({ key: "a", target: radio })).toBe(true);
  const slider = new FakeElement(["input[type=range]", "input"]);
  expect(press({ key: "ArrowLeft", target: slider })).toBe(false);
  expect(press({ key: "a", target: slider })).toBe(true);
  expect(all.acceptItem).not.toHaveBeenCalled();
});

test("the most special scope with a handler wins; false hands the key on", () => {
  const seen: string[] = [];
  bind("global", { undo: () => void seen.push("undo") });
  bind("item", { keypoints: () => void seen.push("keypoints"), nextObject: () => false });
  const stop = bind("video", { previousKeyframe: () => void seen.push("keyframe") });
  press("k");
  stop();
  press("k");
  bind("video", { previousKeyframe: () => false });
  press("k");
  expect(seen).toEqual(["keyframe", "keypoints", "keypoints"]);
  expect(press("Tab")).toBe(false);
});

test("a held command hears of the release, whatever the modifiers are by then", () => {
  const downs: boolean[] = [];
  bind("item", { hide: (press) => void downs.push(press.down) });
  keys.keydown(event({ key: "h", code: "KeyH" }), 0);
  keys.keydown(event({ key: "h", code: "KeyH", repeat: true }), 10);
  keys.keyup(event({ key: "H", code: "KeyH", shift: true }));
  keys.keyup(event({ key: "h", code: "KeyH" }));
  expect(downs).toEqual([true, false]);
});

test.each([
  [{ key: "a" }, "a"],
  [{ key: "A" }, "a"], // caps lock
  [{ key: "Z", shift: true }, "Shift+z"],
  [{ key: "z", ctrl: true }, "Ctrl+z"],
  [{ key: "?", code: "Slash", shift: true }, "?"],
  [{ key: "/", code: "Digit7", shift: true }, "/"], // German
  [{ key: "&", code: "Digit1" }, "1"], // AZERTY
  [{ key: "1", code: "Digit1", shift: true }, "1"], // AZERTY, shifted
  [{ key: "1", code: "Numpad1" }, "1"],
  [{ key: "a", code: "KeyQ" }, "a"], // AZERTY: by what is written on the key
  [{ key: "ф", code: "KeyA" }, "a"], // Cyrillic: by where the key is
  [{ key: "[", code: "Digit8", ctrl: true, alt: true, altGraph: true }, "["], // AltGr
  [{ key: " ", code: "Space" }, "Space"],
  [{ key: "Tab", shift: true }, "Shift+Tab"],
  [{ key: "Shift", shift: true }, ""],
])("names %j as %s", (pressed, chord) => {
  expect(keys.chordOf(event(pressed as Pressed))).toBe(chord);
});

test("digits reach the handler", () => {
  const seen: number[] = [];
  bind("item", { class: (press) => void seen.push(press.digit) });
  press("3");
  press({ key: "&", code: "Digit1" });
  expect(seen).toEqual([3, 1]);
});

test("remap: kept over a reload, clashes are named and only taken when told to", async () => {
  const accept = vi.fn();
  const repair = vi.fn();
  bind("item", { accept, repair });
  expect(keys.remap("accept", ["F9"])).toEqual([]);
  expect(press("F9")).toBe(true);
  expect(press("a")).toBe(false);
  expect(keys.label("accept")).toBe("F9");

  expect(keys.remap("repair", ["F9"])).toEqual(["accept"]);
  press("F9");
  expect(accept).toHaveBeenCalledTimes(2);
  expect(keys.remap("repair", ["F9"], true)).toEqual(["accept"]);
  press("F9");
  expect(repair).toHaveBeenCalledTimes(1);
  expect(keys.label("accept")).toBe("");

  vi.resetModules();
  const again = await import("./keys");
  expect(again.label("repair")).toBe("F9");
  keys.reset();
  expect(keys.label("accept")).toBe("A");
  expect(local.getItem("hyla.keys")).toBe("{}");
});

test("a key of another screen's scope is no clash, one that works everywhere is", () => {
  expect(keys.clashes("confirm", "a")).toEqual([]);
  expect(keys.clashes("frameOn", "x")).toEqual(["repair"]);
  expect(keys.clashes("nextKeyframe", "l")).toEqual([]); // hides "draw a line" by intent
  expect(keys.clashes("frameOn", "z")).toEqual(["undo"]);
  expect(keys.clashes("undo", "x")).toContain("mark");
});

test("no two commands of one scope begin with the same key, nor with a key that works everywhere", () => {
  for (const group of Object.values(keys.COMMANDS)) {
    for (const name of Object.keys(group) as keys.Command[]) {
      for (const key of keys.keysOf(name)) expect([name, key, keys.clashes(name, key)]).toEqual([name, key, []]);
    }
  }
});

test("broken storage is ignored", async () => {
  for (const text of ["{", '{"accept": 3, "unheard": ["q"]}', "null"]) {
    local.setItem("hyla.keys", text);
    vi.resetModules();
    const again = await import("./keys");
    expect(again.label("accept")).toBe("A");
  }
});

test("while paused nothing acts", () => {
  const accept = vi.fn();
  bind("item", { accept });
  const resume = keys.pause();
  expect(press("a")).toBe(false);
  resume();
  expect(press("a")).toBe(true);
});

test("shows the keys that act now", () => {
  bind("grid", { confirm: () => undefined });
  const groups = keys.active();
  expect(groups.find((group) => group.scope === "grid")?.commands.map((one) => one.command)).toEqual(["confirm"]);
  expect(groups.some((group) => group.scope === "video")).toBe(false);
});
