/** Talk to the server of this page: typed calls, one place for the CSRF header, errors as `ApiError`. */
import { ApiError } from "./error";
import type {
  AllMade,
  Called,
  Clip,
  Decisions,
  Failure,
  Grid,
  History,
  Invited,
  Item,
  KnownNames,
  Lease,
  Mode,
  Named,
  Names,
  NewPerson,
  Person,
  Pixel,
  Place,
  Queue,
  Refine,
  Refined,
  Renewed,
  Session,
  Stale,
  Stats,
  Take,
  TakeGrid,
  TakeNamed,
  Tiles,
  Undo,
} from "./types";

export { ApiError };

const BASE = "/api/v1";
const TAB_KEY = "hyla.tab";
const PATIENCE_MS = 30_000;
const EACH_MS = 5; // more for each of many decisions
const MODEL_MS = 300_000; // a model may have to be read from disk first, and think

/**
 * Name this tab. A reload keeps the name, so that its leases stay; the copy that "duplicate tab" makes gets a name of its own,
 * because the name is in the storage only while no page runs.
 */
function tabName(): string {
  const kept = sessionStorage.getItem(TAB_KEY);
  sessionStorage.removeItem(TAB_KEY);
  const name = kept ?? crypto.randomUUID();
  window.addEventListener("pagehide", () => sessionStorage.setItem(TAB_KEY, name));
  window.addEventListener("pageshow", () => sessionStorage.removeItem(TAB_KEY));
  return name;
}

export const tab: string = tabName();

let csrf = "";

/** What the page does when the server no longer knows who asks. */
export const onlocked: { call(): void } = { call: () => undefined };

interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  keepalive?: boolean;
  patience?: number;
}

async function once(method: string, path: string, o: Options): Promise<unknown> {
  const headers: Record<string, string> = { Accept: "application/json", ...o.headers };
  if (method !== "GET") headers["X-Hyla-CSRF"] ??= csrf;
  if (o.body !== undefined) headers["Content-Type"] = "application/json";
  const init: RequestInit = { method, headers, credentials: "same-origin", keepalive: o.keepalive ?? false };
  if (o.body !== undefined) init.body = JSON.stringify(o.body);
  if (!o.keepalive) init.signal = AbortSignal.timeout(o.patience ?? PATIENCE_MS);
  let status: number;
  let text: string;
  try {
    const answer = await fetch(BASE + path, init);
    status = answer.status;
    text = await answer.text();
  } catch {
    throw new ApiError(0, "not_connected", "The server cannot be reached.");
  }
  const value = parsed(text);
  if (status >= 200 && status < 300 && value !== INVALID) return value;
  if (status === 401) onlocked.call();
  throw failure(status, value);
}

const INVALID = Symbol("invalid");

function parsed(text: string): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return INVALID;
  }
}

function failure(status: number, value: unknown): ApiError {
  const said = typeof value === "object" && value !== null && "error" in value ? (value as Failure).error : undefined;
  if (!said) return new ApiError(status, "unexpected", `The server gave an unexpected answer (${status}).`);
  const stale = status === 409 && "item" in (value as object) ? (value as Stale) : undefined;
  return new ApiError(status, said.code, said.message, said.hint, stale);
}

async function call<T>(method: string, path: string, o: Options = {}): Promise<T> {
  try {
    return (await once(method, path, o)) as T;
  } catch (error) {
    // A new login in another tab replaces the session of this browser, and with it the CSRF value.
    if (!(error instanceof ApiError) || error.code !== "csrf" || o.headers?.["X-Hyla-CSRF"]) throw error;
    await api.session();
    return (await once(method, path, o)) as T;
  }
}

function query(values: Record<string, string | number | boolean | undefined>): string {
  const pairs = Object.entries(values).filter(
    (pair): pair is [string, string | number | boolean] => pair[1] !== undefined,
  );
  return pairs.length ? "?" + new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString() : "";
}

const id = encodeURIComponent;
const forAll = ({ decisions }: { decisions: readonly unknown[] }) => PATIENCE_MS + EACH_MS * decisions.length;

export const api = {
  login: (token: string) => call<void>("POST", "/session", { body: { token }, headers: { "X-Hyla-CSRF": "login" } }),
  async session(): Promise<Session> {
    const session = await call<Session>("GET", "/session");
    csrf = session.csrf;
    return session;
  },
  logout: () => call<void>("DELETE", "/session"),
  queue: () => call<Queue>("GET", "/queue"),
  take: (take: Omit<Take, "tab">) => call<Lease>("POST", "/leases", { body: { ...take, tab } }),
  takeOne: (item: string, mode: Mode = "single") =>
    call<Lease>("POST", `/items/${id(item)}/lease`, { body: { tab, mode } }),
  renew: (items: string[]) => call<Renewed>("POST", "/leases/renew", { body: { tab, items } }),
  release: (items: string[]) => call<void>("POST", "/leases/release", { body: { tab, items }, keepalive: true }),
  item: (item: string) => call<Item>("GET", `/items/${id(item)}${query({ tab })}`),
  refine: (item: string, body: Omit<Refine, "tab">) =>
    call<Refined>("POST", `/items/${id(item)}/refine`, { body: { ...body, tab }, patience: MODEL_MS }),
  history: (o: { item?: string; mine?: boolean; limit?: number } = {}) => call<History>("GET", `/history${query(o)}`),
  grid: (take: Omit<TakeGrid, "tab">) => call<Grid>("POST", "/grid", { body: { ...take, tab } }),
  names: (o: { words?: string; order?: string; skip?: number; limit?: number } = {}) =>
    call<Names>("GET", `/names${query(o)}`),
  knownNames: (words: string) => call<KnownNames>("GET", `/names/known${query({ words })}`),
  called: (name: string) => call<Called>("GET", `/names/called${query({ name })}`),
  takeNamed: (take: Omit<TakeNamed, "tab">) => call<Named>("POST", "/names/take", { body: { ...take, tab } }),
  clip: (item: string) => call<Clip>("GET", `/clips/${id(item)}${query({ tab })}`),
  stats: () => call<Stats>("GET", "/stats"),
  people: () => call<Person[]>("GET", "/people"),
  invite: (person: NewPerson) => call<Invited>("POST", "/people", { body: person }),
  place: (item: string, x: number, y: number) => call<Place>("GET", `/place/${id(item)}${query({ x, y })}`),
  pixel: (item: string, lon: number, lat: number) => call<Pixel>("GET", `/pixel/${id(item)}${query({ lon, lat })}`),
  tiles: (item: string, scene: number) => call<Tiles>("GET", `/tiles/${id(item)}${query({ scene })}`),
  decide: (body: Decisions, key: string) =>
    call<AllMade>("POST", "/decisions", { body, headers: { "Idempotency-Key": key }, patience: forAll(body) }),
  undo: (body: Undo, key: string) =>
    call<AllMade>("POST", "/undo", { body, headers: { "Idempotency-Key": key }, patience: forAll(body) }),
};
