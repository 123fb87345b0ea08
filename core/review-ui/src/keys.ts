/** Turn keys into commands: single keys, by scope, remappable; a held key or a double press never decides twice. */

import { COMMANDS, type Command, type Rule, type Scope } from "./commands";

export { COMMANDS, type Command, type Scope };

/** Hold what was pressed. `down` is false for the release of a command that acts while held. */
export interface Press {
  down: boolean;
  repeat: boolean;
  digit: number;
  event: KeyboardEvent;
}

/** Answer false to leave the key alone: the next scope, then the browser gets it. */
export type Handler = (press: Press) => void | false;
type Handlers<S extends Scope> = { [C in keyof (typeof COMMANDS)[S]]?: Handler };

const STORE = "hyla.keys";
const GUARD_MS = 120;
/** A key means what the most special scope says that has a handler for it. */
const ORDER: readonly Scope[] = ["volume", "video", "grid", "queue", "item", "global"];

const rules = new Map<string, Rule & { scope: Scope }>();
for (const scope of ORDER) {
  for (const [name, rule] of Object.entries(COMMANDS[scope])) rules.set(name, { ...(rule as Rule), scope });
}

let own: Record<string, string[]> = stored();
const bound = new Map<Scope, Map<string, Handler>[]>();
const held = new Map<string, { command: string; handler: Handler }>();
const listeners = new Set<() => void>();
let paused = 0;
let decidedAt = -Infinity;

function stored(): Record<string, string[]> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORE) ?? "{}");
    const pairs = Object.entries(value as object).filter(
      ([name, keys]) => rules.has(name) && Array.isArray(keys) && keys.every((key) => typeof key === "string"),
    );
    return Object.fromEntries(pairs) as Record<string, string[]>;
  } catch {
    return {};
  }
}

/** Let commands of a scope act while a screen is shown; returns how to stop. The handlers bound last win. */
export function bind<S extends Scope>(scope: S, handlers: Handlers<S>): () => void {
  const entries = new Map(Object.entries(handlers).filter((pair): pair is [string, Handler] => pair[1] !== undefined));
  const stack = bound.get(scope) ?? [];
  bound.set(scope, [entries, ...stack]);
  tell();
  return () => {
    bound.set(
      scope,
      (bound.get(scope) ?? []).filter((other) => other !== entries),
    );
    for (const [key, hold] of held) if ([...entries.values()].includes(hold.handler)) held.delete(key);
    tell();
  };
}

/** Keys of a command, as they hold now. */
export function keysOf(command: string): readonly string[] {
  return own[command] ?? rules.get(command)?.keys ?? [];
}

/** First key of a command as it is written on buttons: "A", "Space", "⇧ Z"; empty without a key. */
export function label(command: Command): string {
  const keys = keysOf(command);
  return keys.length > 2 && keys.every((key) => /^[1-9]$/.test(key))
    ? `${keys[0]}–${keys.at(-1)}`
    : written(keys[0] ?? "");
}

const NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
  Delete: "Del",
};

/** Write a key for people. */
export function written(chord: string): string {
  const parts = chord === "+" ? ["+"] : chord.split(/\+(?!$)/);
  const key = parts.pop() ?? "";
  return [...parts, NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key)].join(" ");
}

/** Commands that act now, by scope; the sheet of keys shows them. */
export function active(): { scope: Scope; commands: { command: Command; text: string }[] }[] {
  return ORDER.map((scope) => ({
    scope,
    commands: Object.entries(COMMANDS[scope] as Record<string, Rule>)
      .filter(([name]) => bound.get(scope)?.some((handlers) => handlers.has(name)))
      .map(([name, rule]) => ({ command: name as Command, text: rule.text })),
  })).filter((group) => group.commands.length > 0);
}

const BESIDE: readonly Scope[] = ["item", "volume", "video"];

/**
 * Name the commands that a key would clash with: of the same screen, or those that act everywhere. Where a special screen hides
 * a key of the labels by intent, from the start, that is none.
 */
export function clashes(command: Command, key: string): Command[] {
  const own = rules.get(command)!;
  const near = [...rules].filter(([name, rule]) => {
    const special = own.scope !== rule.scope && BESIDE.includes(own.scope) && BESIDE.includes(rule.scope);
    const together = special || [own.scope, "global"].includes(rule.scope) || own.scope === "global";
    const meant = special && own.keys.includes(key) && rule.keys.includes(key);
    return name !== command && together && !meant && keysOf(name).includes(key);
  });
  return near.map(([name]) => name as Command);
}

/**
 * Give a command other keys, or with null those it began with. A key that another command has is taken from that one only
 * with `force`.
 *
 * @returns the commands that clash; when there are any and `force` is not set, nothing changed
 */
export function remap(command: Command, keys: string[] | null, force = false): Command[] {
  const found = [...new Set((keys ?? rules.get(command)?.keys ?? []).flatMap((key) => clashes(command, key)))];
  if (found.length && !force) return found;
  const next = { ...own };
  const taken = keys ?? [...(rules.get(command)?.keys ?? [])];
  for (const other of found) next[other] = keysOf(other).filter((key) => !taken.includes(key));
  if (keys) next[command] = keys;
  else delete next[command];
  save(next);
  return found;
}

/** Give every command the keys it began with. */
export function reset(): void {
  save({});
}

function save(next: Record<string, string[]>): void {
  own = next;
  localStorage.setItem(STORE, JSON.stringify(own));
  tell();
}

/** Hear of changed keys and scopes; returns how to stop. */
export function onkeys(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let telling = false;

// Once for all that changes together, and never inside of what changed it.
function tell(): void {
  if (telling) return;
  telling = true;
  queueMicrotask(() => {
    telling = false;
    for (const listener of [...listeners]) listener();
  });
}

/** Let keys pass, while a dialog asks for one; returns how to go on. */
export function pause(): () => void {
  paused += 1;
  let over = false;
  return () => {
    if (!over) paused -= 1;
    over = true;
  };
}

const MODIFIERS = new Set(["Shift", "Control", "Alt", "Meta", "AltGraph", "CapsLock", "Dead", "Process"]);

/** Name what was pressed: "a", "Shift+z", "Ctrl+z" (also for Cmd), "Space", "?"; empty for a modifier alone. */
export function chordOf(event: KeyboardEvent): string {
  if (MODIFIERS.has(event.key)) return "";
  const third = event.getModifierState?.("AltGraph") ?? false;
  let key = event.key;
  const digit = /^Digit([0-9])$/.exec(event.code)?.[1];
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  let shift = event.shiftKey;
  if (digit && !event.shiftKey && !third)
    key = digit; // AZERTY has digits on the shifted layer
  else if (key === " ") key = "Space";
  else if (key.length === 1 && letter && key.codePointAt(0)! > 0x24f) key = letter; // layouts without Latin letters
  if (key.length === 1 && key.toLowerCase() !== key.toUpperCase()) key = key.toLowerCase();
  else if (key.length === 1 && key !== " ") shift = false; // the sign itself tells: "?" and not "Shift+?"
  const plain = third || !(event.ctrlKey || event.metaKey);
  return `${plain ? "" : "Ctrl+"}${event.altKey && !third ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/** Tell whether a focused control wants a key itself: a field all of them, others those that operate them. */
function wanted(target: EventTarget | null, chord: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  if (target.matches("input[type=checkbox], input[type=radio]")) return chord === "Space" || chord.startsWith("Arrow");
  if (target.matches("input[type=range]")) return /^(Arrow|Page|Home|End)/.test(chord);
  if (target.matches("input")) return true;
  return (
    target.matches("button, a[href], summary, [role=button], [role=switch]") && (chord === "Enter" || chord === "Space")
  );
}

function find(chord: string): { command: string; handler: Handler }[] {
  const found: { command: string; handler: Handler }[] = [];
  for (const scope of ORDER) {
    for (const handlers of bound.get(scope) ?? []) {
      for (const [command, handler] of handlers) if (keysOf(command).includes(chord)) found.push({ command, handler });
    }
  }
  return found;
}

/** Handle a pressed key; true when a command took it. `now` is in milliseconds. */
export function keydown(event: KeyboardEvent, now = performance.now()): boolean {
  const chord = chordOf(event);
  if (paused || !chord || event.isComposing || event.defaultPrevented) return false;
  if (wanted(event.target, chord)) return false;
  for (const { command, handler } of find(chord)) {
    const rule = rules.get(command)!;
    if (event.repeat && !rule.repeats) return swallow(event);
    if (rule.decides && now - decidedAt < GUARD_MS) return swallow(event);
    const digit = /^[1-9]$/.test(chord) ? Number(chord) : 0;
    if (handler({ down: true, repeat: event.repeat, digit, event }) === false) continue;
    if (rule.decides) decidedAt = now;
    if (rule.hold) held.set(event.code, { command, handler });
    return swallow(event);
  }
  return false;
}

function swallow(event: KeyboardEvent): true {
  event.preventDefault();
  return true;
}

/** Handle a released key: ends commands that act while held. */
export function keyup(event: KeyboardEvent): void {
  const hold = held.get(event.code);
  held.delete(event.code);
  hold?.handler({ down: false, repeat: false, digit: 0, event });
}

function release(): void {
  for (const [code, hold] of held) {
    held.delete(code);
    hold.handler({ down: false, repeat: false, digit: 0, event: new KeyboardEvent("keyup", { code }) });
  }
}

/** Listen to the keys of this page; returns how to stop. */
export function listen(target: Window = window): () => void {
  const down = (event: KeyboardEvent) => void keydown(event);
  target.addEventListener("keydown", down);
  target.addEventListener("keyup", keyup);
  target.addEventListener("blur", release);
  return () => {
    target.removeEventListener("keydown", down);
    target.removeEventListener("keyup", keyup);
    target.removeEventListener("blur", release);
  };
}
