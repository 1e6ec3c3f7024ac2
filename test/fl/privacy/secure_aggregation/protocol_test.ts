import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeMessage,
  encodeMessage,
  lowestThreshold,
  messageLength,
  neighborGraph,
  TooFewClientsError,
} from "../../../../src/fl/privacy/secure_aggregation/mod.ts";
import { randomKey, RandomStream } from "../../../../src/engine/mod.ts";
import { type Phase, phases, plainSum, runSecurely } from "../../../support/secure_run.ts";

/** Numbers of clients need not follow each other. */
const idOf = (place: number) => 3 * place + 1;

const cases = fc.record({
  n: fc.integer({ min: 3, max: 12 }),
  neighbors: fc.constantFrom(2, 4, 6, Infinity),
  threshold: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.constantFrom(1, 3, 4, 5, 17),
  loss: fc.constantFrom(0, 0.1, 0.3),
  seed: fc.nat(),
});

/** What the protocol promises, in sets: the clients whose vectors count, or none where holders of a secret that is needed are too few. */
function expected(
  holders: ReadonlyMap<number, readonly number[]>,
  { threshold, lost }: { readonly threshold: number; readonly lost: ReadonlyMap<number, Phase> },
): number[] | undefined {
  const [keys, shares, vector, secrets] = phases.map((_, stage) =>
    new Set(
      [...holders.keys()].filter((id) => !lost.has(id) || phases.indexOf(lost.get(id)!) > stage),
    )
  ) as [Set<number>, Set<number>, Set<number>, Set<number>];
  const left = (id: number, present: Set<number>) =>
    holders.get(id)!.filter((each) => present.has(each)).length;
  const masked = [...shares].filter((id) => left(id, vector) > 0);
  const isSound = vector.size > 0 &&
    [...keys].every((id) => left(id, keys) >= threshold) &&
    [...shares].every((id) => left(id, shares) >= threshold) &&
    masked.every((id) => left(id, vector) >= threshold && left(id, secrets) >= threshold);
  return isSound ? [...vector].sort((a, b) => a - b) : undefined;
}

test("SecureServer.finish() gives the plain sum of the vectors that came, whoever is lost when; or says that too few are left", async (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const counts = { summed: 0, refused: 0, inKeys: 0, inShares: 0, inVector: 0, inSecrets: 0 };
  await fc.assert(
    fc.asyncProperty(cases, async ({ n, neighbors, threshold: share, length, loss, seed }) => {
      const stream = new RandomStream(randomKey(seed, "secure"));
      const clients = Array.from({ length: n }, (_, place) => idOf(place));
      const holders = neighborGraph(clients, { neighbors, shuffle: (ids) => stream.shuffle(ids) });
      const shares = holders.get(clients[0]!)!.length;
      const lowest = lowestThreshold(shares);
      const threshold = lowest + Math.round(share * (shares - lowest));
      const lost = new Map<number, Phase>();
      for (const id of clients) {
        if (stream.uniform() < loss) lost.set(id, phases[stream.integer(phases.length)]!);
      }
      const inputs = new Map(
        clients.map((id) => [id, Uint32Array.from({ length }, () => stream.uint32())] as const),
      );
      const survivors = expected(holders, { threshold, lost });
      const running = runSecurely({ inputs, holders, threshold, lost });
      if (survivors === undefined) {
        counts.refused++;
        await assert.rejects(running, TooFewClientsError);
        return;
      }
      counts.summed++;
      for (const phase of lost.values()) {
        counts[
          ({ keys: "inKeys", shares: "inShares", vector: "inVector", secrets: "inSecrets" } as const)[phase]
        ]++;
      }
      const { sum, clients: arrived, received } = await running;
      assert.deepEqual(arrived, survivors);
      assert.deepEqual([...sum], plainSum(survivors.map((id) => inputs.get(id)!)));
      for (const message of received) {
        const bytes = encodeMessage(message);
        assert.equal(messageLength(message), bytes.length);
        assert.deepEqual(encodeMessage(decodeMessage(bytes)), bytes);
      }
    }),
    { numRuns: 100, seed },
  );
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.summed > 10 && counts.refused > 0, JSON.stringify(counts));
});

test("a client lost in each phase, one at a time: its vector counts only if it came, and the sum is exact", async () => {
  const clients = [0, 1, 2, 3, 4];
  const inputs = new Map(clients.map((id) => [id, Uint32Array.of(10 ** id, 2 ** 32 - 1)] as const));
  const holders = neighborGraph(clients, { shuffle: (ids) => ids });
  for (
    const [phase, counted] of [["keys", false], ["shares", false], ["vector", false], [
      "secrets",
      true,
    ]] as const
  ) {
    const { sum, clients: arrived } = await runSecurely({
      inputs,
      holders,
      threshold: 4,
      lost: new Map([[2, phase]]),
    });
    assert.deepEqual(arrived, counted ? clients : [0, 1, 3, 4], phase);
    assert.deepEqual([...sum], [counted ? 11111 : 11011, 2 ** 32 - arrived.length], phase);
  }
});
