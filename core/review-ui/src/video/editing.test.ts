import { describe, expect, it } from "vitest";
import type { Clip, Decide, Item, LabelRow, Made, SchemaInfo } from "../api/types";
import { Editing } from "./editing";
import * as edits from "./edits";
import { spotsOf } from "./tracks";

const schema = { classes: [{ name: "car", parent: "", kinds: ["box"] }, { name: "bus", parent: "", kinds: ["box"] }], attributes: [] } as unknown as SchemaInfo; // prettier-ignore

/** A server that does with decisions what the real one does, as far as clips need it. */
class Server {
  labels = new Map<number, LabelRow[]>();
  held: { annotation: number; open: number[]; lane: string }[] = [];
  asked: string[] = [];
  together = 0;
  most = 0;
  #next = 1000;
  undoes = new Map<number, { item: number; before: { annotation: number; open: number[]; lane: string } }>();

  constructor(frames: LabelRow[][]) {
    frames.forEach((labels, i) => {
      this.labels.set(i, labels);
      this.held.push({ annotation: i, open: labels.map((_, row) => row), lane: "review" });
    });
  }

  clip = async (): Promise<Clip> => ({
    group: "clip",
    size: [100, 100],
    frames: this.held.map(({ annotation, lane }, i) => {
      return { item: `f${i}`, index: i, seconds: i / 10, annotation, lane, outcome: null, image: "", asks: "" };
    }),
    boxes: this.held.flatMap(({ annotation, open }, i) =>
      this.labels.get(annotation)!.map((label, row): Clip["boxes"][number] => {
        const cls = label.class === "car" ? 0 : 1;
        return [i, row, cls, label.track!, ...label.box, label.score!, open.includes(row) ? 1 : 0];
      }),
    ),
    kinds: this.held.flatMap(({ annotation }) => this.labels.get(annotation)!.map(() => 1)),
    suspects: [],
    events: [],
    next_track: 10,
    next_event: 10,
    crop: "",
  });

  item = async (id: string): Promise<Item> => {
    this.asked.push(id);
    this.most = Math.max(this.most, ++this.together);
    await new Promise((resolve) => setTimeout(resolve));
    this.together -= 1;
    const { annotation } = this.held[Number(id.slice(1))]!;
    return { state: { annotation }, labels: this.labels.get(annotation) } as unknown as Item;
  };

  send = async (decisions: Decide[]): Promise<Made[]> => {
    await new Promise((resolve) => setTimeout(resolve));
    if (decisions.some((one) => this.held[Number(one.item.slice(1))]!.annotation !== one.annotation))
      throw new Error("the labels changed meanwhile");
    return decisions.map((one) => {
      const at = Number(one.item.slice(1));
      const before = this.held[at]!;
      let { annotation, open } = before;
      const labels = this.labels.get(annotation)!;
      if (one.action === "accept") open = open.filter((row) => one.rows!.length > 0 && !one.rows!.includes(row));
      else {
        const { put = {}, add = [], drop = one.rows ?? [] } = one.changes ?? {};
        const kept = labels.map((_, row) => row).filter((row) => !drop.includes(row));
        annotation = this.#next++;
        this.labels.set(annotation, [...kept.map((row) => put[String(row)] ?? labels[row]!), ...add]);
        open = kept.flatMap((row, now) => (open.includes(row) && !put[String(row)] ? [now] : []));
      }
      return this.#made(at, { annotation, open, lane: open.length ? "review" : "" }, before);
    });
  };

  undo(made: readonly Made[]): Made[] {
    return made.map(({ seq }) => {
      const { item, before } = this.undoes.get(seq)!;
      return this.#made(item, before, this.held[item]!);
    });
  }

  #made(at: number, state: Server["held"][number], before: Server["held"][number]): Made {
    this.held[at] = state;
    const seq = this.#next++;
    this.undoes.set(seq, { item: at, before });
    return { seq, item: `f${at}`, state: { ...state, outcome: null, decision: seq } };
  }
}

const box = (x: number): LabelRow["box"] => [x, x, x + 10, x + 10];
const label = (track: number, x: number): LabelRow => {
  return {
    class: "car",
    kind: "box",
    box: box(x),
    score: 0.5,
    track,
    attributes: { seen: "well" },
    evidence: { margin: 0.2 },
  };
};

async function begun(n = 20) {
  const server = new Server(Array.from({ length: n }, (_, i) => [label(-1, 90), label(1, i), label(2, 50)]));
  const [sent, refused]: [Made[][], unknown[]] = [[], []];
  const editing = new Editing(await server.clip(), {
    schema,
    item: server.item,
    clip: () => server.clip(),
    send: async (decisions) => {
      const made = await server.send(decisions);
      sent.push(made);
      void editing.heard(made); // the page tells of everything that is made
      return made;
    },
    lap: () => 1003,
    refused: (error) => refused.push(error),
  });
  return { server, editing, sent, refused };
}

/** What the page holds is what the server would say anew. */
async function agree({ server, editing }: Awaited<ReturnType<typeof begun>>) {
  await editing.settled();
  const held = editing.film.frames.map(({ annotation, lane, marks }) => ({
    annotation,
    lane,
    marks: marks.map(({ hand: _, shape: __, attributes: ___, ...mark }) => mark),
  }));
  const anew = new Editing(await server.clip(), { schema } as never).film.frames;
  expect(held).toEqual(anew.map(({ annotation, lane, marks }) => ({ annotation, lane, marks })));
}

describe("editing a clip", () => {
  it("shows gestures at once, and comes out as the server has it", async () => {
    const all = await begun();
    const { editing, server } = all;
    editing.do(edits.splitTrack(editing.film, 1, 8), 8);
    expect(spotsOf(editing.film, 10).length).toBe(12);
    editing.do(edits.moveBox(editing.film, 10, 12, box(40)), 12); // of rows that are only on their way
    editing.do(edits.deleteTrack(editing.film, 2), 0);
    editing.do(edits.addKeyframe(editing.film, 2 + 8, 3, box(30)), 3);
    editing.do(edits.acceptTrack(editing.film, 1), 0);
    expect(editing.pending).toBe(5);
    await agree(all);
    expect(all.refused).toEqual([]);
    expect(server.most).toBeLessThanOrEqual(8);
    // Each frame was asked for once: what was edited here is known.
    expect(new Set(server.asked).size).toBe(server.asked.length);
    const [, moved] = server.labels.get(server.held[12]!.annotation)!;
    expect(moved).toEqual({ ...label(10, 40), score: 1, evidence: undefined });
    const copied = server.labels.get(server.held[3]!.annotation)!.at(-1)!;
    expect(copied).toMatchObject({ track: 10, box: box(30), score: 1, attributes: { seen: "well" } });
  });

  it("shares the active time among the frames", async () => {
    const { editing, server } = await begun(4);
    const spent: number[] = [];
    const send = server.send;
    server.send = (decisions) => {
      spent.push(...decisions.map((one) => one.active_ms!));
      return send(decisions);
    };
    editing.do(edits.acceptTrack(editing.film, 1), 0);
    await editing.settled();
    expect(spent).toEqual([253, 250, 250, 250]);
  });

  it("goes back with an undo, without asking for the clip", async () => {
    const all = await begun();
    const { editing, server, sent } = all;
    const before = editing.film.frames.map((frame) => frame.marks);
    editing.do(edits.splitTrack(editing.film, 1, 8), 8);
    editing.do(edits.deleteTrack(editing.film, 10), 8);
    await editing.settled();
    server.clip = () => Promise.reject(new Error("asked for the clip"));
    await editing.heard(server.undo(sent[1]!));
    expect(spotsOf(editing.film, 10).length).toBe(12);
    await editing.heard(server.undo(sent[0]!));
    expect(editing.film.frames.map((frame) => frame.marks)).toEqual(before);
    // And on from there.
    editing.do(edits.splitTrack(editing.film, 1, 3), 3);
    await editing.settled();
    expect(all.refused).toEqual([]);
    expect(server.held[5]!.annotation).toBeGreaterThan(999);
  });

  it("drops what the server refuses with all that came after, tells so, and shows what holds", async () => {
    const all = await begun(6);
    const { editing, server } = all;
    await server.send([{ item: "f4", action: "reject", annotation: 4, rows: [1] }]);
    editing.do(edits.setClass(editing.film, 1, 1), 0);
    editing.do(edits.deleteTrack(editing.film, 2), 0);
    await agree(all);
    expect(all.refused).toHaveLength(1);
    expect(String(all.refused[0])).toContain("changed meanwhile");
    expect([editing.pending, spotsOf(editing.film, 1).length, spotsOf(editing.film, 2).length]).toEqual([0, 5, 6]);
    editing.do(edits.acceptTrack(editing.film, 2), 0);
    await agree(all);
    expect(all.refused).toHaveLength(1);
  });

  it("drops what was done to labels that no longer hold, while the clip is asked for", async () => {
    const all = await begun(6);
    const { editing, server } = all;
    await server.send([{ item: "f4", action: "reject", annotation: 4, rows: [0] }]);
    const clip = server.clip;
    server.clip = async () => {
      server.clip = clip;
      // Rows of frame 4 have moved: row 1 is another track now.
      editing.do(edits.deleteTrack(editing.film, 1), 0);
      await new Promise((resolve) => setTimeout(resolve));
      return clip();
    };
    editing.do(edits.acceptTrack(editing.film, 2), 0);
    await agree(all);
    expect([spotsOf(editing.film, 1).length, spotsOf(editing.film, 2).length]).toEqual([6, 6]);
    expect(all.refused.map(String)).toEqual([
      "Error: the labels changed meanwhile",
      "Refusal: The clip was loaded again meanwhile.", // what was done after that was told
    ]);
  });

  it("sends what is done while the clip is asked for anew, and asks again", async () => {
    const all = await begun(6);
    const { editing, server, sent } = all;
    const clip = server.clip;
    let asked = 0;
    server.clip = async () => {
      const before = await clip();
      asked += 1;
      if (asked === 1) editing.do(edits.answerRow(1, 1, "accept"), 1);
      if (asked === 2)
        void editing.heard(await server.send([{ item: "f5", action: "accept", annotation: 5, rows: [1] }]));
      await new Promise((resolve) => setTimeout(resolve, 5));
      return before;
    };
    editing.do(edits.answerRow(0, 1, "accept"), 0);
    await Promise.all([editing.refresh(), editing.refresh()]);
    server.clip = clip;
    await agree(all);
    expect([asked, sent.length, editing.pending, all.refused]).toEqual([3, 2, 0, []]);
    expect([0, 1, 5].map((at) => server.held[at]!.open)).toEqual([[0, 2], [0, 2], [0, 2]]); // prettier-ignore
  });

  it("tells when a clip that is loaded again takes away what was not sent", async () => {
    const all = await begun(6);
    const { editing, server } = all;
    editing.do(edits.answerRow(0, 1, "accept"), 0);
    const loaded = editing.reload();
    editing.do(edits.answerRow(1, 1, "accept"), 1);
    await loaded;
    await agree(all);
    expect(all.refused.map(String)).toEqual(["Refusal: The clip was loaded again meanwhile."]);
    expect([editing.pending, server.held[1]!.open]).toEqual([0, [0, 1, 2]]);
    await editing.reload();
    editing.do(edits.answerRow(2, 1, "accept"), 2);
    await editing.settled();
    await editing.reload();
    expect(all.refused).toHaveLength(1);
    server.clip = () => Promise.reject(new Error("away"));
    await editing.refresh();
    expect(all.refused).toHaveLength(2);
  });

  it("starts afresh when an undo comes between gestures", async () => {
    const all = await begun(6);
    const { editing, server, sent } = all;
    editing.do(edits.removeAt(editing.film, 1, 2), 2);
    await editing.settled();
    const undone = server.undo(sent[0]!);
    editing.do(edits.removeAt(editing.film, 2, 2), 2); // of rows as they were before the undo
    await editing.heard(undone);
    await agree(all);
    expect(editing.pending).toBe(0);
    expect(spotsOf(editing.film, 2).length).toBe(6);
  });

  it("says which track has another number, and knows what the labels say of it then", async () => {
    const { editing, server } = await begun(6);
    for (const frame of [3, 4, 5]) server.labels.get(frame)![0]!.attributes = { participants: "1,2", subject: 1 };
    const sent: Decide[] = [];
    const send = server.send;
    server.send = (decisions) => (sent.push(...decisions), send(decisions));
    editing.do(edits.splitTrack(editing.film, 1, 3), 3);
    await editing.settled();
    expect(sent.map((one) => one.changes?.renumber)).toEqual([{ 1: 10 }, { 1: 10 }, { 1: 10 }]);
    expect(sent.map((one) => Object.keys(one.changes!.put!))).toEqual([["1"], ["1"], ["1"]]);
    editing.do(edits.changeRow(editing.film, 4, 0, { box: [1, 1, 9, 9] }), 4);
    await editing.settled();
    expect(sent.at(-1)!.changes!.put!["0"]!.attributes).toEqual({ participants: "2,10", subject: 10 });
  });

  it("lets an undo wait until what was done before is on its way", async () => {
    const { editing, sent } = await begun();
    editing.do(edits.splitTrack(editing.film, 1, 8), 8);
    let gone = false;
    const handed = editing.handed().then(() => (gone = true));
    await Promise.resolve();
    expect(gone).toBe(false);
    await handed;
    expect(sent.length).toBe(0);
    await editing.settled();
    expect(sent.length).toBe(1);
  });
});
