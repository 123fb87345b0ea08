/** Let Svelte see a Work: reading through here in a template or an effect repeats it when the labels change. */
import { createSubscriber } from "svelte/reactivity";
import type { Entry, Key, Work } from "./work";

export class Watched {
  readonly work: Work;
  #subscribe: () => void;

  constructor(work: Work) {
    this.work = work;
    this.#subscribe = createSubscriber((update) => work.onchange(() => update()));
  }

  get entries(): readonly Entry[] {
    this.#subscribe();
    return this.work.entries();
  }

  get changed(): readonly Key[] {
    this.#subscribe();
    return this.work.changedKeys();
  }

  get dirty(): boolean {
    this.#subscribe();
    return this.work.dirty;
  }

  get context(): Readonly<Record<string, unknown>> {
    this.#subscribe();
    return this.work.context;
  }

  get(key: Key | null): Entry | undefined {
    this.#subscribe();
    return key === null ? undefined : this.work.get(key);
  }
}
