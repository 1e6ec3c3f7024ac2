import assert from "node:assert/strict";
import { test } from "node:test";
import { FactorCovariance } from "../../src/fl/mod.ts";
import { bitsOf, holds, testGpu } from "../engine/harness.ts";
import { matmul } from "../reference/matmul.ts";
import { assertClose, gammaN } from "../support/compare.ts";
import {
  adaptedLayer,
  aggregateOracle,
  federation,
  federationCases,
  mix,
  subtract,
  updates,
} from "../support/federation.ts";

const gpu = await testGpu();

test("FactorCovariance gives Σ p·B·A − B̄·Ā and Σ p·B·A − B·A, also of small updates", async () => {
  await holds(federationCases, async (each) => {
    const federated = await federation(gpu, each);
    const covariance = new FactorCovariance(federated.model);
    for (const update of updates(gpu, federated, each)) covariance.add(update);
    const { error, change } = covariance.aggregates().get(adaptedLayer)!;
    const expected = aggregateOracle(federated);
    // The update of a factor counts from the start, which rounds it once; each of its K·r products then carries K·r + K + 4
    // roundings. The oracle, which subtracts whole products, is itself exact to some 2⁻⁵³ of |B|·|A|, below 1e-12 here.
    const { start, clients, shares } = federated;
    const size = (key: "a" | "b") =>
      mix(clients.map((client) => subtract(client[key], start[key]).map(Math.abs)), shares);
    const [moveA, moveB] = [size("a"), size("b")];
    const all = mix(
      clients.map((client) =>
        matmul(subtract(client.b, start.b).map(Math.abs), subtract(client.a, start.a).map(Math.abs))
      ),
      shares,
    );
    const n = (clients.length + 1) * (each.rank + 1) + 6;
    const errorSize = all.map((value, i) => value + matmul(moveB, moveA).data[i]!);
    const [startA, startB] = [start.a.map(Math.abs), start.b.map(Math.abs)];
    const changeSize = errorSize.map((value, i) =>
      value + matmul(startB, moveA).data[i]! + matmul(moveB, startA).data[i]!
    );
    assertClose(await error.floats(), expected.error, {
      absolute: errorSize.map((value) => gammaN(n) * value + 1e-12).data,
    });
    assertClose(await change.floats(), expected.change, {
      absolute: changeSize.map((value) => gammaN(n) * value + 1e-12).data,
    });
    // Averaging one factor alone loses nothing at all.
    if (each.trained !== "both") assert.ok((await error.floats()).every((value) => value === 0));
    const apart = new FactorCovariance(federated.model);
    for (const update of updates(gpu, federated, { ...each, cohortSize: 1 })) apart.add(update);
    const other = apart.aggregates().get(adaptedLayer)!;
    assert.deepEqual(bitsOf(await other.error.floats()), bitsOf(await error.floats()));
    assert.deepEqual(bitsOf(await other.change.floats()), bitsOf(await change.floats()));
    covariance.dispose();
    apart.dispose();
  });
});
