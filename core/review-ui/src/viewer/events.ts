/** Tell listeners, by the name of the event. */
export class Events<All extends object> {
  #listeners = new Map<keyof All, Set<(value: never) => void>>();

  /** Listen; call what comes back to stop. */
  on<E extends keyof All>(event: E, listener: (value: All[E]) => void): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener as (value: never) => void));
    return () => void set.delete(listener as (value: never) => void);
  }

  emit<E extends keyof All>(event: E, value: All[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) (listener as (value: All[E]) => void)(value);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
