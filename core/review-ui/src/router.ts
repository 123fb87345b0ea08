/** Go between screens by the hash of the address: `#/item/{id}`. */
import type { View } from "./api/types";

export const SCREENS = ["queue", "item", "grid", "volume", "video", "dashboard"] as const;
export type Screen = (typeof SCREENS)[number];

/** Name a place of the page: a screen and what it shows (an item id, a class, or nothing). */
export interface Where {
  screen: Screen;
  id: string;
}

type Listener = (now: Where, before: Where) => void;
const listeners = new Set<Listener>();

/** Read a place from the hash of an address; what is not understood is the queue. */
export function parse(hash: string): Where {
  const [, screen = "", rest = ""] = /^#\/([a-z]+)(?:\/(.*))?$/.exec(hash) ?? [];
  const known = SCREENS.find((name) => name === screen);
  try {
    return known ? { screen: known, id: decodeURIComponent(rest) } : { screen: "queue", id: "" };
  } catch {
    return { screen: "queue", id: "" };
  }
}

export function address(where: Where): string {
  return `#/${where.screen}${where.id ? "/" + encodeURIComponent(where.id) : ""}`;
}

/** Where the page is now. */
export let current: Where = parse(location.hash);

function moved(): void {
  if (location.hash.startsWith("#token=")) return; // a login, not a place
  const before = current;
  const now = parse(location.hash);
  if (now.screen === before.screen && now.id === before.id) return;
  current = now;
  for (const listener of [...listeners]) listener(now, before);
}

/** Show a screen. From one item to the next the address is replaced, so that Back leads to the queue. */
export function go(screen: Screen, id = ""): void {
  const target = address({ screen, id });
  if (screen === current.screen && id) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  moved();
}

/** Tell which screen shows items of a view. */
export function screenOf(view: View): Screen {
  return view === "volume" || view === "video" ? view : "item";
}

/** Hear of every change of place; returns how to stop. */
export function onroute(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

window.addEventListener("popstate", moved);
window.addEventListener("hashchange", moved);
