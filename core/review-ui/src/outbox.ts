/** Keep requests until the server has acknowledged them: one at a time, in order, with the same key on every attempt. */
import { ApiError } from "./api/error";
import type { AllMade, Decisions, Made, Undo } from "./api/types";
import type { Where } from "./router";

export type Body = { decide: Decisions } | { undo: Undo };

/** A request that waits. `of` names the request whose decisions an undo takes back, until they have numbers. */
export interface Job {
  key: string;
  at: number;
  owner: string;
  label: string;
  where: Where;
  items: string[];
  body: Body;
  of?: string;
}

export interface Put {
  key: string;
  made: Promise<Made[]>;
}

/** A request that was left by a page before this one. */
export interface Left {
  job: Job;
  made: Promise<Made[]>;
}

export type Connection = "up" | "away" | "locked";

interface Waiting {
  job: Job;
  tries: number;
  resolve(made: Made[]): void;
  reject(error: unknown): void;
}

interface Parts {
  post(job: Job): Promise<AllMade>;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;
  /** The tab that sends: what another one left unsent is sent in its own name. */
  tab: string;
  /** Wait before the next attempt. */
  wait?(ms: number): Promise<void>;
  now?(): number;
}

const PREFIX = "hyla.unsent.";
const WAITS_MS = [250, 500, 1000, 2000, 4000, 8000];
/** A server that fails in itself is asked a few times only: a request it cannot digest must not hold up the others. */
const FAULTS = 3;
const REMEMBER = 5000;

type Events = { made: Made[]; change: undefined };

export class Outbox {
  #queue: Waiting[] = [];
  #running = false;
  #connection: Connection = "up";
  #seqs = new Map<string, number[]>();
  #owner = "";
  #last = 0;
  #wake: () => void = () => undefined;
  #listeners: { [K in keyof Events]: Set<(value: Events[K]) => void> } = {
    made: new Set(),
    change: new Set(),
  };

  constructor(private readonly parts: Parts) {}

  /** How many requests wait for an acknowledgement. */
  get pending(): number {
    return this.#queue.length;
  }

  /** How many decisions wait. */
  get decisions(): number {
    return this.#queue.reduce((sum, { job }) => sum + ("decide" in job.body ? job.body.decide.decisions.length : 1), 0);
  }

  /** `away`: the server is not reached; `locked`: it wants a login. */
  get connection(): Connection {
    return this.#connection;
  }

  on<K extends keyof Events>(kind: K, listener: (value: Events[K]) => void): () => void {
    this.#listeners[kind].add(listener);
    return () => this.#listeners[kind].delete(listener);
  }

  /** Begin, for one person in one project, with what that person left unsent; returns that. */
  open(owner: string): Left[] {
    this.#owner = owner;
    const left = this.#stored().filter((job) => !this.#queue.some((waiting) => waiting.job.key === job.key));
    const entries = left.map((job) => {
      ("undo" in job.body ? job.body.undo : job.body.decide).tab = this.parts.tab;
      return { job, ...entry(job) };
    });
    this.#queue.unshift(...entries.map(({ waiting }) => waiting));
    this.wake();
    return entries;
  }

  /** Queue a request. Its promise fails when the server refuses it for good. */
  put(body: Body, about: { label: string; where: Where; items: string[]; of?: string }): Put {
    this.#last = Math.max((this.parts.now ?? Date.now)(), this.#last + 1);
    const job: Job = { key: crypto.randomUUID(), at: this.#last, owner: this.#owner, body, ...about };
    const { waiting, made } = entry(job);
    this.#queue.push(waiting);
    this.#keep(job);
    this.#changed();
    void this.#run();
    return { key: job.key, made };
  }

  /** Try again now: the network is back, or the person has logged in. */
  wake(): void {
    this.#wake();
    if (this.#connection === "locked") this.#connection = "away";
    this.#changed();
    void this.#run();
  }

  /** Tell whether a request about an item is on its way. */
  holds(item: string): boolean {
    return this.#queue.some((waiting) => waiting.job.items.includes(item));
  }

  /** Wait until no request about an item is on its way. */
  async settled(item: string): Promise<void> {
    while (this.holds(item)) {
      await new Promise<void>((resolve) => {
        const stop = this.on("change", () => {
          stop();
          resolve();
        });
      });
    }
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let first = this.#queue[0]; first && this.#connection !== "locked"; first = this.#queue[0])
        await this.#attempt(first);
    } finally {
      this.#running = false;
      this.#changed();
    }
  }

  async #attempt(first: Waiting): Promise<void> {
    const { job } = first;
    try {
      if (job.of) this.#number(job, job.of);
      const { made } = await this.parts.post(job);
      this.#connect("up");
      this.#remember(job.key, made);
      this.#remove(first);
      this.#emit("made", made);
      first.resolve(made);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      first.tries += 1;
      if (error.status === 401) this.#connect("locked");
      else if (error.passing || (error.status === 500 && first.tries < FAULTS)) {
        if (error.status === 0) this.#connect("away");
        await this.#pause(WAITS_MS[Math.min(first.tries, WAITS_MS.length) - 1] ?? 8000);
      } else {
        this.#connect("up");
        this.#remove(first);
        first.reject(error);
      }
    }
  }

  // An undo was queued before the decision had a number; it has one now, unless the server refused it.
  #number(job: Job, of: string): void {
    const seqs = this.#seqs.get(of);
    if (!seqs || !("undo" in job.body)) throw new ApiError(410, "gone", "What should be undone was not kept.");
    job.body.undo.decisions = seqs.toReversed();
    delete job.of;
    this.#keep(job);
  }

  #remember(key: string, made: Made[]): void {
    this.#seqs.set(
      key,
      made.map((one) => one.seq),
    );
    for (const old of this.#seqs.keys()) {
      if (this.#seqs.size <= REMEMBER) break;
      this.#seqs.delete(old);
    }
    for (const { job } of this.#queue) if (job.of === key) this.#number(job, key);
  }

  #remove(done: Waiting): void {
    this.#queue = this.#queue.filter((waiting) => waiting !== done);
    this.parts.storage.removeItem(PREFIX + done.job.key);
    this.#changed();
  }

  async #pause(ms: number): Promise<void> {
    if (this.parts.wait) return this.parts.wait(ms);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms * (0.8 + 0.4 * Math.random()));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #connect(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.#changed();
  }

  // A full storage is no reason to stop: the decision is kept in memory, and leaving the page asks first.
  #keep(job: Job): void {
    try {
      this.parts.storage.setItem(PREFIX + job.key, JSON.stringify(job));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }

  #stored(): Job[] {
    const jobs: Job[] = [];
    for (let i = 0; i < this.parts.storage.length; i++) {
      const name = this.parts.storage.key(i);
      const text = name?.startsWith(PREFIX) ? this.parts.storage.getItem(name) : null;
      const job = text ? (JSON.parse(text) as Job) : null;
      if (job?.owner === this.#owner) jobs.push(job);
    }
    return jobs.sort((a, b) => a.at - b.at);
  }

  #changed(): void {
    this.#emit("change", undefined);
  }

  #emit<K extends keyof Events>(kind: K, value: Events[K]): void {
    for (const listener of [...this.#listeners[kind]]) listener(value);
  }
}

function entry(job: Job): { waiting: Waiting; made: Promise<Made[]> } {
  const waiting: Waiting = { job, tries: 0, resolve: () => undefined, reject: () => undefined };
  const made = new Promise<Made[]>((resolve, reject) => Object.assign(waiting, { resolve, reject }));
  return { waiting, made };
}
