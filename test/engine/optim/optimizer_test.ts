import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Gpu } from "../../../src/engine/gpu/device.ts";
import { AdamW, type AdamWOptions } from "../../../src/engine/optim/adamw.ts";
import type { Optimizer, StepOptions } from "../../../src/engine/optim/optimizer.ts";
import { emptyPacked, pack } from "../../../src/engine/optim/packed.ts";
import { Sgd, type SgdOptions } from "../../../src/engine/optim/sgd.ts";
import { assign } from "../../../src/engine/ops/update.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { tidy } from "../../../src/engine/tidy.ts";
import { F64Array } from "../../reference/array.ts";
import {
  type AdamWState,
  adamWStep,
  clipByClientNorm,
  type SgdState,
  sgdStep,
} from "../../reference/optim.ts";
import { assertClose, F32_UNIT_ROUNDOFF as U, gammaN } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { bitsOf, holds, testFamilies, upload } from "../harness.ts";

const families = await testFamilies();
const gpu = families.cpu!;
const random = (shape: readonly number[], seed: number, scale = 1) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).map((value) => value * scale).data);
const rounded = Math.fround;

interface Problem {
  readonly members: number;
  readonly rest: readonly number[];
  readonly steps: number;
  readonly seed: number;
  readonly scale: number;
}

const problems = fc.record({
  members: fc.integer({ min: 1, max: 4 }),
  rest: fc.constantFrom([], [1], [7], [3, 5], [64], [65]),
  steps: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(),
  scale: fc.constantFrom(1, 1e-3, 1e3, 0),
});

/** Parameters after each of several steps with the gradients given. */
async function train(
  make: (parameters: Tensor[]) => Optimizer,
  { start, gradients, options }: {
    start: readonly F64Array[];
    gradients: readonly (readonly F64Array[])[];
    options: (step: number) => StepOptions;
  },
): Promise<Float32Array[][]> {
  const before = gpu.stats().liveBytes;
  const parameters = start.map((each) => upload(gpu, each));
  const optimizer = tidy(() => make(parameters));
  const history: Float32Array[][] = [];
  for (const [step, each] of gradients.entries()) {
    tidy(() => optimizer.step(each.map((gradient) => upload(gpu, gradient)), options(step)));
    history.push(await Promise.all(parameters.map((parameter) => parameter.floats())));
  }
  optimizer.dispose();
  for (const parameter of parameters) parameter.dispose();
  assert.equal(gpu.stats().liveBytes, before, "bytes alive after the optimiser was disposed");
  return history;
}

const rate = (step: number) => rounded(0.01 * (step + 1));

test("Sgd.step() agrees with the oracle over several steps", async () => {
  const options: fc.Arbitrary<SgdOptions> = fc.record({
    momentum: fc.constantFrom(0, 0.5, rounded(0.9)),
    weightDecay: fc.constantFrom(0, rounded(0.01)),
  });
  await holds(fc.tuple(problems, options), async ([{ members, rest, steps, seed, scale }, settings]) => {
    const shape = [members, ...rest];
    const start = random(shape, seed);
    const gradients = Array.from({ length: steps }, (_, step) => random(shape, seed + 1 + step, scale));
    const history = await train((parameters) => new Sgd(parameters, settings), {
      start: [start],
      gradients: gradients.map((each) => [each]),
      options: (step) => ({ learningRate: rate(step) }),
    });
    let state: SgdState = { parameter: start };
    // The same recurrence on magnitudes bounds the size of every term; each step rounds five times.
    let magnitude: SgdState = { parameter: start.map(Math.abs) };
    gradients.forEach((gradient, step) => {
      state = sgdStep(state, gradient, { learningRate: rate(step), ...settings });
      magnitude = sgdStep(magnitude, gradient.map(Math.abs), { learningRate: -rate(step), ...settings });
      assertClose(history[step]![0]!, state.parameter, {
        absolute: magnitude.parameter.map((value) => gammaN(5 * (step + 1)) * value).data,
      });
    });
  }, 40);
});

/**
 * Checks AdamW against the oracle. The squares' mean has only positive terms, so its relative error is γ of the
 * roundings so far, and that of a decay of 1 − β that float32 can't hold, `decayError`; the mean of gradients may cancel, so
 * it's measured by the mean of magnitudes.
 */
async function checkAdamW(
  { members, rest, steps, seed, scale }: Problem,
  settings: AdamWOptions,
  decayError: number,
): Promise<void> {
  const shape = [members, ...rest];
  const start = random(shape, seed);
  const gradients = Array.from({ length: steps }, (_, step) => random(shape, seed + 1 + step, scale));
  const history = await train((parameters) => new AdamW(parameters, settings), {
    start: [start],
    gradients: gradients.map((each) => [each]),
    options: (step) => ({ learningRate: rate(step) }),
  });
  const full = { weightDecay: 0, ...settings };
  let state: AdamWState = { parameter: start };
  let magnitude: AdamWState = { parameter: start };
  const bounds = new Float64Array(start.size);
  gradients.forEach((gradient, step) => {
    state = adamWStep(state, gradient, { ...full, learningRate: rate(step) });
    magnitude = adamWStep({ ...magnitude, parameter: start }, gradient.map(Math.abs), {
      ...full,
      learningRate: 0,
    });
    state.parameter.data.forEach((value, i) => {
      const correctedMean = magnitude.mean!.data[i]! / (1 - (full.beta1 ?? 0.9) ** (step + 1));
      const correctedSquare = magnitude.square!.data[i]! / (1 - (full.beta2 ?? 0.999) ** (step + 1));
      const move = rate(step) * correctedMean / (Math.sqrt(correctedSquare) + 1e-8);
      // Roots and divisions are within 5u each by WGSL's rules.
      bounds[i]! += move * (gammaN(6 * (step + 1) + 20) + decayError) + 3 * U * Math.abs(value);
    });
    assertClose(history[step]![0]!, state.parameter, { absolute: bounds });
  });
}

test("AdamW.step() agrees with the oracle over several steps", async () => {
  // Decays that float32 holds exactly, and whose complements it does too.
  const options = fc.record({
    beta1: fc.constantFrom(0, 0.5, 0.875),
    beta2: fc.constantFrom(0.75, 1 - 2 ** -10),
    weightDecay: fc.constantFrom(0, rounded(0.1)),
  });
  await holds(fc.tuple(problems, options), ([problem, settings]) => checkAdamW(problem, settings, 0), 40);
});

test("AdamW.step() with its default decays agrees with the oracle", async () => {
  // 0.9 and 0.999 are rounded by u: 1 − β changes by up to u/(1 − β) of itself, 6e-7 and 6e-5, the latter under a root.
  await holds(problems, (problem) => checkAdamW(problem, {}, 6e-7 + 3e-5), 20);
});

const optimizers: Record<string, (parameters: Tensor[]) => Optimizer> = {
  Sgd: (parameters) => new Sgd(parameters, { momentum: 0.9, weightDecay: 0.01 }),
  AdamW: (parameters) => new AdamW(parameters, { weightDecay: 0.01 }),
};

for (const [name, make] of Object.entries(optimizers)) {
  test(`${name}.step() trains a member in a block as it does alone, bit for bit`, async () => {
    await holds(
      problems.filter(({ members }) => members > 1),
      async ({ members, rest, steps, seed, scale }) => {
        const shapes = [[members, ...rest], [members, 3]];
        const start = shapes.map((shape, i) => random(shape, seed + i));
        const gradients = Array.from(
          { length: steps },
          (_, step) => shapes.map((shape, i) => random(shape, seed + 10 * (step + 1) + i, scale)),
        );
        const own = seed % members;
        const part = ({ shape, data }: F64Array) => {
          const size = data.length / members;
          return F64Array.from([1, ...shape.slice(1)], data.subarray(own * size, (own + 1) * size));
        };
        const options = (step: number) => ({ learningRate: rate(step) });
        const together = await train(make, { start, gradients, options });
        const alone = await train(make, {
          start: start.map(part),
          gradients: gradients.map((each) => each.map(part)),
          options,
        });
        alone.forEach((parameters, step) =>
          parameters.forEach((parameter, i) => {
            const all = together[step]![i]!;
            const size = all.length / members;
            assert.deepEqual(
              bitsOf(all.slice(own * size, (own + 1) * size)),
              bitsOf(parameter),
              `step ${step}, parameter ${i}`,
            );
          })
        );
      },
      20,
    );
  });

  test(`${name}.step() leaves members at 0 as they are, bit for bit, and moves the others as ever`, async () => {
    const [members, size, steps] = [3, 5, 6];
    const start = random([members, size], 1).map((value, i) => i < size ? -0 : value);
    const gradients = Array.from({ length: steps }, (_, step) => [random([members, size], 2 + step)]);
    const active = (step: number) => [step < 3 ? 1 : 0, 1, step < 5 ? 1 : 0];
    using masks = tensor(gpu, new Float32Array(members));
    const masked = await train(make, {
      start: [start],
      gradients,
      options(step) {
        masks.write(Float32Array.from(active(step)));
        return { learningRate: 0.1, active: masks };
      },
    });
    const free = await train(make, { start: [start], gradients, options: () => ({ learningRate: 0.1 }) });
    for (let step = 0; step < steps; step++) {
      active(step).forEach((moves, member) => {
        const slice = (values: Float32Array) => bitsOf(values.slice(member * size, (member + 1) * size));
        const expected = moves ? free[step]![0]! : masked[step - 1]![0]!;
        assert.deepEqual(slice(masked[step]![0]!), slice(expected), `step ${step}, member ${member}`);
      });
    }
    assert.notDeepEqual(free[0]![0], free[1]![0]);
  });

  test(`${name}.step() gives packed tensors the bits of loose ones, in one launch`, async () => {
    const cases = fc.record({
      members: fc.integer({ min: 1, max: 4 }),
      // Past the length of a chunk, which is 1024.
      rests: fc.array(fc.constantFrom([], [1], [7], [3, 65], [1024], [1025], [2, 1999]), {
        minLength: 1,
        maxLength: 5,
      }),
      clipNorm: fc.constantFrom(undefined, 1, 1e4),
      seed: fc.nat(),
    });
    await holds(cases, async ({ members, rests, clipNorm, seed }) => {
      const start = rests.map((rest, i) => random([members, ...rest], seed + i));
      const gradients = [1, 2].map((step) => start.map(({ shape }, i) => random(shape, seed + 9 * step + i)));
      const loose = await train(make, {
        start,
        gradients,
        options: () => ({ learningRate: 0.1, clipNorm }),
      });
      const parameters = tidy(() => pack(start.map((each) => upload(gpu, each))));
      const into = emptyPacked(gpu, start.map(({ shape }) => shape));
      const optimizer = tidy(() => make(parameters));
      for (const [step, each] of gradients.entries()) {
        tidy(() => each.forEach((gradient, i) => assign(into[i]!, upload(gpu, gradient))));
        const before = gpu.stats().dispatches;
        optimizer.step(into, { learningRate: 0.1, clipNorm });
        assert.equal(gpu.stats().dispatches - before, clipNorm === undefined ? 1 : 3);
        for (const [i, parameter] of parameters.entries()) {
          assert.deepEqual(bitsOf(await parameter.floats()), bitsOf(loose[step]![i]!), `step ${step}, ${i}`);
        }
      }
      optimizer.dispose();
      for (const each of [...parameters, ...into]) each.dispose();
    }, 20);
  });

  test(`${name}.step() refuses gradients of another number or shape`, () => {
    using parameter = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
    using gradient = tensor(gpu, new Float32Array(6), { shape: [3, 2] });
    const optimizer = make([parameter]);
    assert.throws(() => optimizer.step([], { learningRate: 1 }), {
      name: "TypeError",
      message: /1 parameters with 0 gradients/,
    });
    assert.throws(() => optimizer.step([gradient], { learningRate: 1 }), {
      name: "TypeError",
      message: /shape \[2, 3\] with a gradient of shape \[3, 2\]/,
    });
    optimizer.dispose();
  });

  test(`new ${name}() refuses parameters of different numbers of members`, () => {
    using a = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
    using b = tensor(gpu, new Float32Array(6), { shape: [3, 2] });
    assert.throws(() => make([a, b]), {
      name: "TypeError",
      message: /\[2, 3\], \[3, 2\]: expected one leading extent/,
    });
  });
}

test("new Sgd() and new AdamW() refuse decays outside [0, 1) and an epsilon of 0", () => {
  using parameter = tensor(gpu, [1]);
  assert.throws(() => new Sgd([parameter], { momentum: 1 }), { name: "RangeError" });
  for (const options of [{ beta1: 1 }, { beta2: -0.1 }, { epsilon: 0 }, { beta1: NaN }]) {
    assert.throws(() => new AdamW([parameter], options), { name: "RangeError" }, JSON.stringify(options));
  }
});

/** What Sgd makes of zeros with a rate of −1: each clipped gradient. */
async function clipped(
  on: Gpu,
  gradients: readonly F64Array[],
  { clipNorm, packed }: { clipNorm: number; packed: boolean },
): Promise<Float32Array[]> {
  const place = (each: readonly Tensor[]) => packed ? pack(each) : [...each];
  const parameters = tidy(() => place(gradients.map((each) => upload(on, each.map(() => 0)))));
  const optimizer = tidy(() => new Sgd(parameters));
  tidy(() => {
    const tensors = place(gradients.map((each) => upload(on, each)));
    optimizer.step(tensors, { learningRate: -1, clipNorm });
  });
  const found = await Promise.all(parameters.map((each) => each.floats()));
  optimizer.dispose();
  for (const each of parameters) each.dispose();
  return found;
}

for (const [family, on] of Object.entries(families)) {
  test(`step() clips each member by its own norm, on ${family}; a member's has the same bits alone`, async () => {
    const cases = fc.record({
      members: fc.integer({ min: 1, max: 70 }),
      rests: fc.array(fc.constantFrom([], [1], [7], [3, 65], [600], [1024], [1025]), {
        minLength: 1,
        maxLength: 3,
      }),
      scale: fc.constantFrom(0, 1e-10, 1e-3, 1, 1e3, 1e15),
      clipNorm: fc.constantFrom(0.1, 1, 100).map(rounded),
      packed: fc.boolean(),
      seed: fc.nat(),
    });
    await holds(cases, async ({ members, rests, scale, clipNorm, packed, seed }) => {
      const gradients = rests.map((rest, i) => random([members, ...rest], seed + i, scale));
      const found = await clipped(on, gradients, { clipNorm, packed });
      const { norms } = clipByClientNorm(gradients, clipNorm);
      const count = gradients.reduce((sum, each) => sum + each.size / members, 0);
      found.forEach((values, i) => {
        const { data, shape } = gradients[i]!;
        const size = data.length / members;
        const expected = data.map((value, k) =>
          value * Math.min(1, clipNorm / (norms[Math.floor(k / size)]! + 1e-6))
        );
        // A sum of squares rounds by γₙ; its root halves that; root, sum, division and product round by 15u together.
        assertClose(values, F64Array.from(shape, expected), { relative: gammaN(count + 16) });
      });
      const own = seed % members;
      const alone = await clipped(
        on,
        gradients.map(({ shape, data }) => {
          const size = data.length / members;
          return F64Array.from([1, ...shape.slice(1)], data.subarray(own * size, (own + 1) * size));
        }),
        { clipNorm, packed: !packed },
      );
      alone.forEach((values, i) => {
        const size = values.length;
        assert.deepEqual(bitsOf(values), bitsOf(found[i]!.slice(own * size, (own + 1) * size)));
      });
    }, 30);
  });
}

test("step() refuses to clip to a norm that isn't positive", () => {
  using parameter = tensor(gpu, [1]);
  using gradient = tensor(gpu, [1]);
  const optimizer = new Sgd([parameter]);
  for (const clipNorm of [0, -1, NaN]) {
    assert.throws(() => optimizer.step([gradient], { learningRate: 1, clipNorm }), {
      name: "RangeError",
      message: /expected a positive number/,
    });
  }
  optimizer.dispose();
});
