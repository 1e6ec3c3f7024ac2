import assert from "node:assert/strict";
import { test } from "node:test";
import { HubError } from "../../../src/hub/errors.ts";
import { askedWait, PassingFailure, sleep, withRetries } from "../../../src/hub/hugging_face/retry.ts";

const PATIENCE = { attempts: 3, firstWait: 1, longestWait: 50, longestSilence: 1000 };

test("askedWait() reads seconds, dates and the hub's own header", () => {
  const now = Date.UTC(2015, 9, 21, 7, 27, 30, 250);
  const wait = (headers: Record<string, string>) => askedWait(new Headers(headers), now);
  assert.equal(wait({ "retry-after": "120" }), 120_000);
  assert.equal(wait({ "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }), 29_750);
  assert.equal(wait({ "retry-after": "Wed, 21 Oct 2015 07:27:00 GMT" }), 0);
  assert.equal(wait({ ratelimit: '"api";r=0;t=55' }), 55_000);
  assert.equal(wait({ "retry-after": "3", ratelimit: '"api";r=0;t=55' }), 3000);
  assert.equal(wait({ ratelimit: '"api";r=7;t=55' }), undefined);
  for (const odd of ["", "-1", "1.5", "soon", "in 5 minutes", "12 GMT x"]) {
    assert.equal(wait({ "retry-after": odd }), undefined, odd);
  }
});

test("withRetries() tries until it works, until patience ends, or until something else fails", async () => {
  const failure = (wait?: number) => new PassingFailure(new HubError("down", "server"), wait);
  let runs = 0;
  const failing = (times: number, error = failure()) => () => {
    if (++runs > times) return Promise.resolve(runs);
    throw error;
  };
  assert.equal(await withRetries(PATIENCE, failing(2)), 3);
  runs = 0;
  await assert.rejects(withRetries(PATIENCE, failing(3)), { name: "HubError", message: "down" });
  assert.equal(runs, 3);
  runs = 0;
  await assert.rejects(withRetries(PATIENCE, failing(1, failure(51))), { name: "HubError" });
  assert.equal(runs, 1);
  runs = 0;
  await assert.rejects(
    withRetries(PATIENCE, () => {
      runs++;
      throw new RangeError("other");
    }),
    RangeError,
  );
  assert.equal(runs, 1);
});

test("withRetries() counts failures anew from each advance", async () => {
  let runs = 0;
  const value = await withRetries(PATIENCE, (advanced) => {
    if (++runs === 10) return Promise.resolve("done");
    if (runs % 2 === 0) advanced();
    throw new PassingFailure(new HubError("down", "server"));
  });
  assert.equal(value, "done");
});

test("sleep() ends early with the reason of its signal", async () => {
  const started = performance.now();
  await assert.rejects(sleep(10_000, AbortSignal.abort(new Error("enough"))), { message: "enough" });
  assert.ok(performance.now() - started < 5000);
});
