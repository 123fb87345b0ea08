import { expect, it } from "vitest";
import { Ring } from "./ring";

interface Asked {
  frame: number;
  signal: AbortSignal;
  give(): void;
  fail(): void;
}

function begun(n = 200, side = 100) {
  const asked: Asked[] = [];
  const closed: number[] = [];
  const load = (url: string, signal: AbortSignal) =>
    new Promise<ImageBitmap>((resolve, reject) => {
      const frame = Number(url);
      signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
      const bitmap = { width: side, height: side, close: () => closed.push(frame) } as unknown as ImageBitmap;
      asked.push({ frame, signal, give: () => resolve(bitmap), fail: () => reject(new Error("no")) });
    });
  const ring = new Ring(Array.from({ length: n }, (_, i) => String(i)), load); // prettier-ignore
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  const giveAll = async () => {
    for (let i = 0; i < asked.length; i++) {
      if (!asked[i]!.signal.aborted) asked[i]!.give();
      await settle();
    }
  };
  return { ring, asked, closed, settle, giveAll };
}

it("fetches the frame shown first, then those around it, a few at once and more ahead than behind", async () => {
  const { ring, asked, giveAll } = begun();
  void ring.show(100);
  expect(asked.map((one) => one.frame)).toEqual([100, 101, 99, 102]);
  await giveAll();
  expect(ring.size).toBe(60);
  expect([ring.peek(139), ring.peek(141), ring.peek(81), ring.peek(80)].map(Boolean)).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

it("stops what is no longer near when the person scrubs, and closes what is here", async () => {
  const { ring, asked, closed, giveAll, settle } = begun();
  const first = ring.show(10);
  await giveAll();
  expect((await first)?.width).toBe(100);
  const passed = ring.show(150);
  const late = asked.at(-1)!;
  const target = ring.show(60);
  expect(await passed).toBe(null);
  expect(late.signal.aborted).toBe(true);
  await settle();
  await giveAll();
  expect(await target).not.toBe(null);
  expect(closed.length).toBeGreaterThan(30);
  expect(ring.peek(150)).toBe(null);
});

it("keeps fewer frames of large pictures", async () => {
  const { ring, giveAll } = begun(200, 2000);
  void ring.show(50);
  await giveAll();
  void ring.show(51);
  await giveAll();
  expect(ring.size).toBeLessThanOrEqual(21);
});

it("tells of a frame that cannot be had, and asks again when it is shown again", async () => {
  const { ring, asked, settle } = begun();
  const shown = ring.show(5);
  asked[0]!.fail();
  await expect(shown).rejects.toThrow("no");
  expect(ring.failed(5)).toBe(true);
  const again = ring.show(5);
  asked.at(-1)!.give();
  expect(asked.filter((one) => one.frame === 5).length).toBe(2);
  asked.filter((one) => one.frame === 5)[1]!.give();
  expect(await again).not.toBe(null);
  ring.close();
  await settle();
  expect(ring.size).toBe(0);
});
