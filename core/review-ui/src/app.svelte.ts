/** Hold what every screen shares: who works, on what, whether the server is there, the theme, messages. */
import { api, ApiError, onlocked } from "./api/client";
import type { Queue, SchemaInfo, Session } from "./api/types";
import { outbox, resume } from "./decide";
import { history } from "./history";
import { current, go, onroute, type Where } from "./router";
import { plural, said } from "./ui/format";

export type Theme = "system" | "light" | "dark";

export interface Toast {
  id: number;
  text: string;
  undo: boolean;
  error: boolean;
}

const THEME = "hyla.theme";
const TOAST_MS = 8000;

function storedTheme(): Theme {
  const kept = localStorage.getItem(THEME);
  return kept === "light" || kept === "dark" ? kept : "system";
}

class App {
  #session = $state.raw<Session | null>(null);
  #system = matchMedia("(prefers-color-scheme: dark)");
  #systemDark = $state(this.#system.matches);
  #theme = $state<Theme>(storedTheme());
  #toasts = 0;

  /** `out`: nobody is logged in; `locked`: the server forgot who was, while the page is open. */
  access = $state<"starting" | "in" | "out" | "locked">("starting");
  /** Why nobody is logged in, if there is something to say. */
  refusal = $state("");
  queue = $state.raw<Queue | null>(null);
  online = $state(true);
  /** Decisions that the server has not acknowledged yet. */
  pending = $state(0);
  spoken = $state("");
  toasts = $state<Toast[]>([]);
  where = $state.raw<Where>(current);
  helpOpen = $state(false);

  constructor() {
    this.#system.addEventListener("change", () => (this.#systemDark = this.#system.matches));
    onroute((now) => (this.where = now));
    outbox.on("change", () => {
      this.pending = outbox.decisions;
      this.online = outbox.connection !== "away";
    });
    // The button of a message takes back the last step, so it goes when there is another.
    history.on("change", () => (this.toasts = this.toasts.filter((toast) => !toast.undo)));
    onlocked.call = () => {
      if (this.access === "in") this.access = "locked";
    };
  }

  /** Who uses the page, and on what; only to be asked while somebody is logged in. */
  get session(): Session {
    if (!this.#session) throw new Error("nobody is logged in");
    return this.#session;
  }

  get schema(): SchemaInfo {
    return this.session.data_schema;
  }

  get theme(): Theme {
    return this.#theme;
  }

  set theme(theme: Theme) {
    this.#theme = theme;
    localStorage.setItem(THEME, theme);
  }

  /** The theme in use, with `system` resolved. */
  get dark(): boolean {
    return this.#theme === "system" ? this.#systemDark : this.#theme === "dark";
  }

  /** Log in with the one-time token of the address, if there is one, and learn who uses the page. */
  async enter(token: string): Promise<void> {
    try {
      if (token) await api.login(token);
      this.#session = await api.session();
      this.access = "in";
      this.refusal = "";
      this.online = true;
      const left = resume(`${this.#session.person} @ ${this.#session.project}`);
      if (left.length)
        this.toast(`${plural(left.length, "request")} from before ${left.length === 1 ? "is" : "are"} sent now.`);
      for (const { job, made } of left) {
        made.catch((error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
          this.toast(`Not kept: ${job.label}. ${said(error)}`, { error: true });
        });
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.access = this.#session ? "locked" : "out";
      this.refusal = token || error.status !== 401 ? said(error) : "";
    }
  }

  /** Ask what waits. */
  async refreshQueue(): Promise<void> {
    try {
      this.queue = await api.queue();
      if (outbox.pending === 0) this.online = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 0) this.online = false;
    }
  }

  /** Say something to those who do not see the page. */
  announce(text: string): void {
    this.spoken = this.spoken === text ? text + "\u00a0" : text; // said again only if it differs
  }

  /** Show a message for eight seconds; an error stays until it is closed. A newer message with Undo replaces the one before. */
  toast(text: string, o: { undo?: boolean; error?: boolean } = {}): void {
    const toast: Toast = { id: ++this.#toasts, text, undo: o.undo ?? false, error: o.error ?? false };
    const others = this.toasts.filter((other) => other.text !== text && !(toast.undo && other.undo));
    this.toasts = [...others, toast].slice(-4);
    this.announce(text);
    if (!toast.error) setTimeout(() => this.dismiss(toast.id), TOAST_MS);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  async undo(): Promise<void> {
    await this.#turn("undo");
  }

  async redo(): Promise<void> {
    await this.#turn("redo");
  }

  async #turn(direction: "undo" | "redo"): Promise<void> {
    try {
      const step = await history[direction]();
      this.toast(step ? `${direction === "undo" ? "Undone" : "Redone"}: ${step.label}` : `Nothing to ${direction}.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.toast(`Could not ${direction}. ${said(error)}`, { error: true });
    }
  }
}

export const app = new App();

history.visit = (where) => {
  if (where.screen !== current.screen || where.id !== current.id) go(where.screen, where.id);
};
