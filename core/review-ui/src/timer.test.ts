import { beforeEach, expect, test } from "vitest";
import { page } from "./testing";
import { ActiveTimer } from "./timer";

let now = 0;
let timer: ActiveTimer;

const input = (name = "keydown") => window.dispatchEvent(new Event(name));

function visible(is: boolean): void {
  page.visibilityState = is ? "visible" : "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  now = 1000;
  page.visibilityState = "visible";
  timer = new ActiveTimer(() => now);
  timer.start();
});

test("counts active time, lap by lap", () => {
  now += 1500;
  input();
  expect(timer.lap()).toBe(1500);
  now += 700;
  expect(timer.elapsed).toBe(700);
  expect(timer.lap()).toBe(700);
  expect(timer.lap()).toBe(0);
});

test("stops a minute after the last input, and goes on with the next", () => {
  now += 10_000;
  input("pointermove");
  now += 300_000;
  expect(timer.elapsed).toBe(70_000);
  input();
  now += 2000;
  expect(timer.lap()).toBe(72_000);
});

test("does not count while hidden", () => {
  now += 1000;
  visible(false);
  now += 30_000;
  input();
  now += 5000;
  visible(true);
  now += 500;
  expect(timer.lap()).toBe(1500);
});

test("a page that was hidden at the start counts from when it is shown", () => {
  visible(false);
  timer.start();
  now += 4000;
  visible(true);
  now += 250;
  expect(timer.lap()).toBe(250);
});

test("hears nothing more after stop", () => {
  timer.stop();
  now += 1000;
  input();
  expect(timer.lap()).toBe(0);
});
