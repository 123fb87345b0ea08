/** Send decisions: at once for the person, in order, each exactly once, also when the server is away or the page is reloaded. */
import { api, tab } from "./api/client";
import type { AllMade, Decide, Decisions, Made, Mode, Undo } from "./api/types";
import { history, type Step } from "./history";
import { Outbox, type Job, type Left, type Put } from "./outbox";
import type { Where } from "./router";

export interface SendOptions {
  label: string;
  where: Where;
  mode?: Mode;
  note?: string;
}

/** Hold what this page has decided and the server has not acknowledged yet. */
export const outbox = new Outbox({
  post: (job: Job): Promise<AllMade> =>
    "undo" in job.body ? api.undo(job.body.undo, job.key) : api.decide(job.body.decide, job.key),
  storage: localStorage,
  tab,
});

type Listener = (made: Made[]) => void;
const listeners = new Set<Listener>();

/** Hear of what the server acknowledged (decisions and undos); returns how to stop. */
export function onmade(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

outbox.on("made", (made) => {
  for (const listener of [...listeners]) listener(made);
});

/** What an undo must know of a step, so that a reload does not forget it. */
interface Sent {
  label: string;
  where: Where;
  items: string[];
  seqs: number[];
}

const KEEP = 50;
const STORE = "hyla.steps";
const sent = new WeakMap<Step, Sent>();
let owner = "";

/** Begin, for one person in one project: what was left unsent is sent and returned, and what can be undone is remembered. */
export function resume(name: string): Left[] {
  const fresh = owner !== name;
  owner = name;
  if (fresh) for (const one of kept()) history.push(stepOf(one));
  const left = outbox.open(name);
  for (const { job, made } of left) {
    const undone = left.some((other) => other.job.of === job.key);
    if ("decide" in job.body && !undone)
      push({ label: job.label, where: job.where, items: job.items }, { key: job.key, made });
  }
  return left;
}

/** Make what is on its way a step, until the server refuses it. */
function push(about: Omit<Sent, "seqs">, put: Put): void {
  const step = stepOf(about, put);
  history.push(step);
  put.made.catch(() => history.drop(step));
}

function kept(): Sent[] {
  const { owner: whose, steps } = JSON.parse(sessionStorage.getItem(STORE) ?? "{}") as {
    owner?: string;
    steps?: Sent[];
  };
  return whose === owner && steps ? steps : [];
}

function keep(): void {
  const steps = history.steps.flatMap((step) => sent.get(step) ?? []).slice(0, KEEP);
  sessionStorage.setItem(STORE, JSON.stringify({ owner, steps: steps.toReversed() }));
}

history.on("change", () => {
  if (owner) keep();
});

/** Make a step of what is on its way (`put`), or of what was acknowledged before a reload (`seqs`). */
function stepOf({ seqs, ...about }: Omit<Sent, "seqs"> & { seqs?: number[] }, put?: Put): Step {
  let key = put?.key;
  const acknowledge = (made: Made[]) => {
    sent.set(step, { ...about, seqs: made.map((one) => one.seq) });
    keep();
  };
  // Undoing an undo is redoing, so both name what the last request made.
  const turn = async () => {
    const undo: Undo = { decisions: key ? [] : (seqs?.toReversed() ?? []), tab };
    const next = outbox.put({ undo }, key ? { ...about, of: key } : about);
    key = next.key;
    acknowledge(await next.made);
  };
  const step: Step = { label: about.label, where: about.where, undo: turn, redo: turn, sent: true };
  if (seqs) sent.set(step, { ...about, seqs });
  put?.made.then(acknowledge, () => undefined); // the refusal is told to who sent it
  return step;
}

/**
 * Send decisions as one request, all or nothing. The caller goes on at once; the promise tells what the server made of them.
 *
 * @throws ApiError when the server refuses: 409 with `.stale` when the labels changed meanwhile
 */
export function send(decisions: Decide[], o: SendOptions): Promise<Made[]> {
  const body: Decisions = { decisions, tab, mode: o.mode ?? "single", note: o.note ?? "" };
  const items = [...new Set(decisions.map((decision) => decision.item))];
  const about = { label: o.label, where: o.where, items };
  const put = outbox.put({ decide: body }, about);
  push(about, put);
  return put.made;
}

/** Wait until nothing about an item is on its way. */
export const settled = (item: string): Promise<void> => outbox.settled(item);
