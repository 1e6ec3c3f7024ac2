import assert from "node:assert/strict";
import { test } from "node:test";
import { EventQueue } from "../../../src/fl/run/event_queue.ts";

const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

test("EventQueue.until() yields what is pushed, in order, then gives the result", async () => {
  const queue = new EventQueue<number>();
  const work = async () => {
    for (let i = 0; i < 5; i++) {
      queue.push(2 * i);
      queue.push(2 * i + 1);
      await tick();
    }
    return "done";
  };
  const seen: number[] = [];
  const events = queue.until(work());
  let next = await events.next();
  for (; !next.done; next = await events.next()) seen.push(next.value);
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(next.value, "done");
});

test("EventQueue.until() throws what the work throws, after its events", async () => {
  const queue = new EventQueue<number>();
  const work = async () => {
    queue.push(1);
    await tick();
    throw new RangeError("broken");
  };
  const events = queue.until(work());
  assert.equal((await events.next()).value, 1);
  await assert.rejects(events.next(), { name: "RangeError", message: "broken" });
});

test("EventQueue.until() ends the work at its next report when it is left", async () => {
  const queue = new EventQueue<number>();
  let steps = 0;
  let cleaned = false;
  const work = async () => {
    try {
      for (;; steps++) {
        queue.push(steps);
        await tick();
      }
    } finally {
      cleaned = true;
    }
  };
  for await (const step of queue.until(work())) if (step === 3) break;
  assert.equal(cleaned, true);
  const then = steps;
  await tick();
  assert.equal(steps, then);
  assert.ok(steps <= 5, `${steps} steps`);
});
