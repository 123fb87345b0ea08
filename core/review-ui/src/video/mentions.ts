/** Numbers of tracks in what labels say: who takes part in an event, whom a label belongs to. The server reads them alike. */
export const PARTICIPANTS = "participants"; // text: "3,7"
export const SUBJECT = "subject"; // number of a track

export type Numbers = ReadonlyMap<number, number>;
type Attributes = Readonly<Record<string, unknown>>;

/** Read "3,7". */
export function participantsOf(value: unknown): number[] {
  if (typeof value !== "string") return [];
  return [...new Set(value.split(",").map((word) => word.trim()))].filter((word) => /^\d+$/.test(word)).map(Number);
}

/** Write "3,7": each track once, in their order. */
export const listed = (tracks: readonly number[]): string => [...new Set(tracks)].sort((a, b) => a - b).join(",");

/** Return the attributes in which tracks have the numbers that they have now; empty where none of them is named. */
export function renumbered(attributes: Attributes, numbers: Numbers): Attributes {
  const everyone = participantsOf(attributes[PARTICIPANTS]);
  const subject = numbers.get(attributes[SUBJECT] as number);
  return {
    ...(everyone.some((one) => numbers.has(one)) && {
      [PARTICIPANTS]: listed(everyone.map((one) => numbers.get(one) ?? one)),
    }),
    ...(subject !== undefined && { [SUBJECT]: subject }),
  };
}
