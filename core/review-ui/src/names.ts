/** What labels are called, where an attribute of the schema says what an object is: groups of crops, and renaming them. */
import type { AttributeInfo, Decide, Made, Named, SchemaInfo, TakeNamed } from "./api/types";
import { attributesFor } from "./work/schema";

/** What a page of crops is of: a class, and a name in it; null for any, empty for labels that nobody has named. */
export interface Group {
  class: string;
  name: string | null;
}

/** What something is to be called. */
export interface To {
  name: string;
  class: string;
  /** What people call it, if that is another word. */
  title?: string;
}

/** Orders of the list of names, and where the chosen one is kept. */
export type Order = "waiting" | "doubt" | "name";
export const ORDER_STORE = "hyla.names.order";

const MARK = "\t"; // in no name of a class
const RECENT = 9;

/** Return the attribute that names labels, if the schema has one. */
export function identityOf(schema: SchemaInfo): AttributeInfo | undefined {
  return schema.attributes.find((one) => one.identity && one.scope === "label");
}

/** Tell whether labels of a class have a name. */
export function isNamed(schema: SchemaInfo, name: string): boolean {
  return attributesFor(schema, name).some((one) => one.name === identityOf(schema)?.name);
}

/** The attribute that names labels, as people say it. */
export const wordOf = (attribute: AttributeInfo): string => attribute.name.replaceAll("_", " ");

/** Write a group as the id of a place. */
export function idOf(group: Group): string {
  return group.name === null ? group.class : group.class + MARK + group.name;
}

/** Read a group from the id of a place. */
export function groupOf(id: string): Group {
  const at = id.indexOf(MARK);
  return at < 0 ? { class: id, name: null } : { class: id.slice(0, at), name: id.slice(at + 1) };
}

/** How a group is written: its name, else its class. */
export const said = (group: Group): string => group.name || group.class;

/** Address of a picture of what is called so; the server answers nothing where there is none. */
export function reference(name: string, size: number, stamp = 0): string {
  const values = { name, size: String(size), ...(stamp ? { at: String(stamp) } : {}) };
  return `/media/reference.jpg?${new URLSearchParams(values).toString()}`;
}

/** Write a name as it is kept: without spaces around it, and with single ones in it. */
export const tidy = (text: string): string => text.trim().replace(/\s+/g, " ");

/** Return `names` with `to` among them, for keys 1 to 9: it keeps its key, and takes that of the oldest where all are taken. */
export function withRecent(names: readonly To[], to: To): To[] {
  if (!to.name) return [...names];
  const same = names.findIndex((one) => one.name === to.name);
  if (same >= 0) return names.map((one, i) => (i === same ? to : one));
  return names.length < RECENT ? [...names, to] : [...names.slice(1), to];
}

/** What renaming all of a name needs of the server. */
export interface Source {
  take(take: Omit<TakeNamed, "tab">): Promise<Named>;
  send(decisions: Decide[], label: string): Promise<Made[]>;
  release(items: string[]): Promise<void>;
}

/**
 * Call all labels of a name something else, part by part; each part is one step, which can be taken back. Labels that wait go on
 * waiting, since nobody looks at them here.
 *
 * @param ondone hears how many labels have another name so far
 */
export async function renameAll(
  source: Source,
  from: string,
  to: To,
  ondone: (renamed: number) => void = () => undefined,
): Promise<{ renamed: number; skipped: number }> {
  let [renamed, skipped, after] = [0, 0, 0];
  do {
    const part = await source.take({ name: from, after });
    const decisions = part.items.map(({ item, annotation, rows }) => {
      const rename = Object.fromEntries(rows.map((row) => [row, { name: to.name, class: to.class }]));
      return { item, action: "edit", annotation, rows: [], changes: { rename }, done: false } satisfies Decide;
    });
    const n = part.items.reduce((sum, one) => sum + one.rows.length, 0);
    try {
      if (n) await source.send(decisions, `Renamed ${n} × ${from} to ${to.name}`);
    } finally {
      // What still waits is anybody's again.
      if (n) await source.release(part.items.map((one) => one.item)).catch(() => undefined);
    }
    renamed += n;
    skipped += part.skipped;
    after = part.next;
    ondone(renamed);
  } while (after);
  return { renamed, skipped };
}
