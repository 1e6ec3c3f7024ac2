import assert from "node:assert/strict";
import { test } from "node:test";
import { type Port, Remote, serveCalls } from "../../../examples/browser/common/remote.ts";

interface Calls {
  add: { input: readonly [number, number]; event: never; output: number };
  count: { input: number; event: number; output: string };
}

/** Both ends of a channel; `serve` has the handlers of the calls above. */
function channel({ serve = true } = {}) {
  const { port1, port2 } = new MessageChannel();
  const aborted: string[] = [];
  if (serve) {
    serveCalls<Calls>(port2 as unknown as Port, {
      async add([a, b]) {
        if (Number.isNaN(a)) throw new RangeError("Cannot add NaN");
        return a + b;
      },
      async count(to, { report, signal }) {
        for (let i = 1; i <= to; i++) {
          if (signal.aborted) {
            aborted.push(`at ${i}`);
            return "cancelled";
          }
          report(i);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        return "done";
      },
    });
  }
  port1.start();
  port2.start();
  return { remote: new Remote<Calls>(port1 as unknown as Port), aborted, close: () => port1.close() };
}

test("Remote.call() gives results, events in their order, and errors by name", async () => {
  const { remote, close } = channel();
  const events: number[] = [];
  const [sum, counted] = await Promise.all([
    remote.call("add", [2, 3]),
    remote.call("count", 3, { onEvent: (event) => events.push(event) }),
  ]);
  assert.deepEqual([sum, counted, events], [5, "done", [1, 2, 3]]);
  await assert.rejects(remote.call("add", [NaN, 1]), { name: "RangeError", message: "Cannot add NaN" });
  close();
});

test("Remote.call() cancels the call whose signal is aborted, and no other", async () => {
  const { remote, aborted, close } = channel();
  const controller = new AbortController();
  const options = {
    signal: controller.signal,
    onEvent: (event: number) => event === 2 && controller.abort(),
  };
  const [first, second] = await Promise.all([remote.call("count", 1000, options), remote.call("count", 5)]);
  assert.deepEqual([first, second], ["cancelled", "done"]);
  assert.equal(aborted.length, 1);
  close();
});

test("Remote.fail() ends calls that nobody will answer", async () => {
  const { remote, close } = channel({ serve: false });
  const waiting = remote.call("add", [1, 2]);
  remote.fail(new Error("the worker is gone"));
  await assert.rejects(waiting, { message: "the worker is gone" });
  await assert.rejects(remote.call("add", [1, 2]), { message: "the worker is gone" });
  close();
});
