import assert from "node:assert/strict";
import { test } from "node:test";
import { randomKey, RandomStream } from "../../../../src/engine/mod.ts";
import {
  type Bytes,
  encodeMessage,
  neighborGraph,
  type Primitives,
  systemPrimitives,
} from "../../../../src/fl/privacy/secure_aggregation/mod.ts";
import { type Phase, runSecurely, type SecureRun } from "../../../support/secure_run.ts";

/**
 * What the server sees is a function of the inputs, of what clients draw, and of the generator F of masks, which is taken for a random function.
 * If two clients u < v whose vectors come move their inputs by d and −d, then the function F′ that equals F but for F′(s_uv) = F(s_uv) − d
 * gives the server the same bytes; and F ↦ F′ is a bijection of the functions, as long as the server never gets s_uv. So the
 * view has the same distribution for both inputs. Any inputs of one sum are linked by such moves along a connected graph.
 */
const clients = [0, 1, 2, 3, 4, 5, 6];
const length = 9;
const lost = new Map<number, Phase>([[2, "vector"], [5, "secrets"], [6, "shares"]]);
const base = new Map(clients.map((id) => {
  const stream = new RandomStream(randomKey(7, "inputs", id));
  return [id, Uint32Array.from({ length }, () => stream.uint32())] as const;
}));
const change = Uint32Array.from({ length }, (_, i) => 12345 * (i + 1) ** 5);

/** Draws and shares that a run repeats, and the seeds that each client expands. */
class Replay {
  readonly seeds = new Map<number, string[]>();
  readonly #splits = new Map<string, Promise<Uint8Array[]>>();

  primitives(
    name: number | "server",
    shift?: { readonly seed: string; readonly by: Uint32Array },
  ): Primitives {
    const stream = new RandomStream(randomKey(3, "draws", String(name)));
    const seeds: string[] = [];
    if (name !== "server") this.seeds.set(name, seeds);
    let splits = 0;
    return {
      randomBytes: (count) => Uint8Array.from({ length: count }, () => stream.integer(256)),
      split: (...args) => {
        const key = `${name} ${splits++}`;
        if (!this.#splits.has(key)) this.#splits.set(key, systemPrimitives.split(...args));
        return this.#splits.get(key)!;
      },
      expand: async (seed: Bytes, start, count) => {
        seeds.push(seed.join());
        const mask = await systemPrimitives.expand(seed, start, count);
        return seed.join() === shift?.seed ? mask.map((value, i) => value - shift.by[start + i]!) : mask;
      },
    };
  }
}

async function view(
  replay: Replay,
  { inputs, neighbors, shift }: {
    readonly inputs: ReadonlyMap<number, Uint32Array>;
    readonly neighbors?: number;
    readonly shift?: { readonly seed: string; readonly by: Uint32Array };
  },
): Promise<SecureRun & { readonly bytes: readonly string[] }> {
  const run = await runSecurely({
    inputs,
    holders: neighborGraph(clients, { neighbors, shuffle: (ids) => ids }),
    threshold: neighbors === undefined ? 4 : 3,
    lost: neighbors === undefined ? lost : new Map([[5, "vector"]]),
    primitivesOf: (id) => replay.primitives(id, shift),
    serverPrimitives: replay.primitives("server"),
  });
  return {
    ...run,
    bytes: run.received.map((message) => Buffer.from(encodeMessage(message)).toString("base64")),
  };
}

function moved(
  changes: ReadonlyMap<number, (value: number, place: number) => number>,
): Map<number, Uint32Array> {
  return new Map([...base].map(([id, vector]) => {
    const change = changes.get(id);
    return [id, change === undefined ? vector : vector.map(change)];
  }));
}

for (const neighbors of [undefined, 4]) {
  const graph = neighbors === undefined ? "the complete graph" : `${neighbors} neighbours`;
  test(`what the server sees, given the sum, doesn't depend on an input (${graph})`, async () => {
    const replay = new Replay();
    const first = await view(replay, { inputs: base, ...(neighbors && { neighbors }) });
    const seed = replay.seeds.get(0)!.find((each) => replay.seeds.get(1)!.includes(each))!;
    const by = change;
    const inputs = moved(
      new Map([
        [0, (value: number, i: number) => value + by[i]!],
        [1, (value: number, i: number) => value - by[i]!],
      ]),
    );
    const options = { inputs, ...(neighbors && { neighbors }) };
    const second = await view(replay, { ...options, shift: { seed, by } });
    assert.notDeepEqual(inputs.get(0), base.get(0));
    assert.deepEqual(second.bytes, first.bytes);
    assert.deepEqual(second.sum, first.sum);
    // The generator without the move shows that the bytes do depend on the inputs, and on nothing but the two vectors.
    const third = await view(replay, options);
    const differing = first.received.filter((_, i) => third.bytes[i] !== first.bytes[i]).map((
      { kind, client },
    ) => `${kind} ${client}`);
    assert.deepEqual(differing, ["masked-vector 0", "masked-vector 1"]);
    assert.deepEqual(third.sum, first.sum);
  });
}

test("what the server sees doesn't depend at all on the input of a client whose vector didn't come", async () => {
  const replay = new Replay();
  const first = await view(replay, { inputs: base });
  const second = await view(replay, { inputs: moved(new Map([[2, () => 0], [6, () => 1]])) });
  assert.deepEqual(second.bytes, first.bytes);
});

test("the server never puts together the seed of a pair whose vectors both came, nor both secrets of any client", async () => {
  const replay = new Replay();
  const { received } = await view(replay, { inputs: base });
  const shares = received.filter((message) => message.kind === "unmask-shares");
  const [alive, dropped] = [new Set<number>(), new Set<number>()];
  for (const message of shares) {
    for (const id of message.alive) alive.add(id);
    for (const id of message.dropped) dropped.add(id);
  }
  assert.deepEqual([...alive], [0, 1, 3, 4, 5]);
  assert.deepEqual([...dropped], [2]);
});

test("masked vectors are uniform, whatever is in them", async () => {
  const length = 40000;
  const chi = async (value: number) => {
    const inputs = new Map(clients.map((id) => [id, new Uint32Array(length).fill(value)] as const));
    const holders = neighborGraph(clients, { shuffle: (ids) => ids });
    const { received } = await runSecurely({ inputs, holders, threshold: 5 });
    return received.filter((message) => message.kind === "masked-vector").flatMap(({ vector }) =>
      [0, 8, 16, 24].map((shift) => {
        const counts = new Array<number>(256).fill(0);
        for (const each of vector) counts[(each >>> shift) & 255]!++;
        const mean = length / 256;
        return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
      })
    );
  };
  // 56 tests, of a χ² of 255 degrees that is above LIMIT with a probability of 1e-10 each: all pass with 1 − 6e-9.
  const limit = 425.9;
  for (const value of [0, 2 ** 22]) {
    for (const statistic of await chi(value)) assert.ok(statistic < limit, `χ² ${statistic}`);
  }
});
