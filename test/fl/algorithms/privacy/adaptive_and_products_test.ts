import assert from "node:assert/strict";
import { test } from "node:test";
import { tidy } from "../../../../src/engine/mod.ts";
import { adaptersOf } from "../../../../src/federa/mod.ts";
import { dpFedAvg, type PrivacyReport } from "../../../../src/fl/mod.ts";
import { changeNoise } from "../../../../src/fl/privacy/adaptive_clip.ts";
import { testGpu } from "../../../engine/harness.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { methodOn } from "../../../support/methods.ts";
import { tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const pretrained = tinyClassifier(gpu, { width: 7, inner: 5, seed: 7 });
const make = (name: string) => methodOn(name, { targets: ["encoder.inner"], rank: 2, alpha: 4 });
/** Four of 40 clients on average. */
const start = (name: string, options: Parameters<typeof dpFedAvg>[1]) =>
  DrivenMethod.start(dpFedAvg(make(name), options), pretrained, 40, {
    sampling: { kind: "poisson", rate: 0.1 },
  });

test("dpFedAvg() moves an adaptive clip norm by hand-worked steps, and a round that nobody came to leaves it", async () => {
  const adaptive = { quantile: 0.5, learningRate: 0.2, countNoise: 1e-6 };
  const driven = await start("fedit", { clipNorm: 5, noiseMultiplier: 1e-7, adaptive });
  const norm = () => (driven.method.privacy!(driven.state, driven.round) as PrivacyReport).clipNorm;
  const values = await Promise.all(
    [...driven.shared].map(async ([name, each]) => [name, await each.floats()] as const),
  );
  // Changes of length 3, 4 and 10: ½ + ½ − ½ by the 4 who are expected is ⅛ above ½.
  const clients = [3, 4, 10].map((length) =>
    new Map(values.map(([name, each], n) => [name, each.map((x, i) => n + i === 0 ? x + length : x)]))
  );
  await driven.aggregate(clients, { shares: [1 / 3, 1 / 3, 1 / 3] });
  assert.equal(norm(), 5);
  for (let round = 2; round <= 3; round++) {
    await driven.aggregate([], { shares: [] });
    // 5·exp(−0.2·⅛); the count's noise is 1e-6/4.
    assert.ok(Math.abs(norm() - 4.876550) < 1e-5, `${norm()}`);
  }
  // (1⁻² − 2⁻²)^(−½)
  assert.ok(Math.abs(changeNoise(1, { ...adaptive, countNoise: 1 }, 40) - 2 / Math.sqrt(3)) < 1e-12);
  // By default σ_b is a twentieth of the cohort.
  const { countNoise: _, ...rest } = adaptive;
  assert.equal(changeNoise(1, rest, 20), changeNoise(1, { ...rest, countNoise: 1 }, 40));
});

test("noise on A and B grows with its square in their product, and noise on B alone doesn't", async () => {
  const change = async (name: string, clipNorm: number) => {
    const driven = await start(name, { clipNorm, noiseMultiplier: 1 });
    const weight = async () => {
      using own = tidy(() => adaptersOf(driven.global).get("encoder.inner")!.effectiveWeight());
      return await own.floats();
    };
    const before = await weight();
    await driven.aggregate([], { shares: [] });
    return (await weight()).map((value, i) => value - before[i]!);
  };
  for (const [name, isLinear] of [["fedit", false], ["ffa-lora", true]] as const) {
    // The same draws twice as large: what is left of ΔW(2σ) − 2·ΔW(σ) is 2·σ²·s·ξ_B·ξ_A.
    const [once, twice] = [await change(name, 1), await change(name, 2)];
    const square = Math.hypot(...twice.map((value, i) => value - 2 * once[i]!)) / Math.hypot(...once);
    // Weights of order 1 round by 6e-8; the changes are of order 1.
    if (isLinear) assert.ok(square < 1e-5, `${name}: ${square}`);
    else assert.ok(square > 0.1, `${name}: ${square}`);
  }
});
