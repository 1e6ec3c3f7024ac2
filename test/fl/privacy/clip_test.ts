import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tidy } from "../../../src/engine/mod.ts";
import { clipUpdates } from "../../../src/fl/mod.ts";
import { bitsOf, holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();
const shapes = { a: [7, 3], b: [1], c: [70] } as const;
type Name = keyof typeof shapes;
const names = Object.keys(shapes) as Name[];

test("clipUpdates() scales each client's change to the norm, jointly, and leaves shorter ones alone to the bit", async () => {
  const cases = fc.record({
    members: fc.integer({ min: 1, max: 4 }),
    norm: fc.constantFrom(1e-3, 0.5, 10, 1e20),
    scale: fc.constantFrom(1e-25, 1e-3, 1, 1e3, 1e25),
    seed: fc.nat(),
  });
  await holds(cases, async ({ members, norm, scale, seed }) => {
    const random = new Random(seed);
    const draw = (shape: readonly number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
    // `c` is no parameter: it has no start.
    const start = new Map<string, F64Array>(
      names.filter((name) => name !== "c").map((name) => [name, draw(shapes[name])]),
    );
    const values = new Map(names.map((name) => {
      const moved = draw([members, ...shapes[name]]);
      const x = start.get(name);
      const size = moved.data.length / members;
      return [
        name,
        F64Array.fromF32(moved.shape, moved.data.map((v, i) => scale * v + (x?.data[i % size] ?? 0))),
      ];
    }));
    const given = new Map([...values].map(([name, value]) => [name, upload(gpu, value)]));
    const begin = new Map([...start].map(([name, value]) => [name, upload(gpu, value)]));
    const clients = Array.from({ length: members }, (_, id) => ({ id, numExamples: 1, lastRound: 0 }));
    const clipped = tidy(() =>
      clipUpdates({ norm }).client!(given, { round: 1, seed: 1, start: begin, clients })
    );
    for (let k = 0; k < members; k++) {
      const part = (data: ArrayLike<number>) => {
        const size = data.length / members;
        return Array.from(data).slice(k * size, (k + 1) * size);
      };
      const changes = names.flatMap((name) =>
        part(values.get(name)!.data).map((y, i) => y - (start.get(name)?.data[i] ?? 0))
      );
      const length = Math.hypot(...changes);
      const found = await Promise.all(
        names.map(async (name) => part(await clipped.get(name)!.floats())),
      );
      if (length < norm * (1 - 1e-5)) {
        const own = names.flatMap((name) => part(values.get(name)!.data));
        assert.deepEqual(bitsOf(Float32Array.from(found.flat())), bitsOf(Float32Array.from(own)));
        continue;
      }
      const factor = Math.min(1, norm / length);
      let i = 0;
      names.forEach((name, n) =>
        found[n]!.forEach((value, j) => {
          const x = start.get(name)?.data[j] ?? 0;
          const wanted = x + changes[i++]! * factor;
          // y − x and x + Δ round at their own sizes; the length has some 100 roundings of its squares.
          const y = Math.abs(x) + Math.abs(changes[i - 1]!);
          const bound = 2 ** -24 *
            (2 * (Math.abs(x) + y * factor) + 110 * Math.abs(changes[i - 1]! * factor));
          assert.ok(Math.abs(value - wanted) <= bound + 1e-44, `${value}, ${wanted}`);
        })
      );
    }
  }, 25);
});

test("clipUpdates() refuses norms that are no positive numbers", () => {
  for (const norm of [0, -1, NaN, Infinity]) {
    assert.throws(() => clipUpdates({ norm }), { name: "RangeError", message: /norm .*expected a positive/ });
  }
});
