/** What the modules want of a browser, for tests that run without one: import this first. */
import { vi } from "vitest";

export class FakeStorage implements Storage {
  values = new Map<string, string>();
  get length(): number {
    return this.values.size;
  }
  clear(): void {
    this.values.clear();
  }
  getItem(key: string): string | null {
    return this.values.get(key) ?? null;
  }
  key(index: number): string | null {
    return [...this.values.keys()][index] ?? null;
  }
  removeItem(key: string): void {
    this.values.delete(key);
  }
  setItem(key: string, value: string): void {
    this.values.set(key, value);
  }
}

/** An element of which only the selectors that it matches are known. */
export class FakeElement {
  isContentEditable = false;
  constructor(private readonly selectors: readonly string[] = []) {}
  matches(selector: string): boolean {
    return selector.split(", ").some((one) => this.selectors.includes(one));
  }
}

export const local = new FakeStorage();
export const session = new FakeStorage();
export const page = Object.assign(new EventTarget(), { visibilityState: "visible" });

vi.stubGlobal("window", new EventTarget());
vi.stubGlobal("document", page);
vi.stubGlobal("location", { hash: "", pathname: "/" });
vi.stubGlobal("localStorage", local);
vi.stubGlobal("sessionStorage", session);
vi.stubGlobal("HTMLElement", FakeElement);

/** Let everything that waits for nothing but other promises happen. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
