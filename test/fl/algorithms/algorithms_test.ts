import assert from "node:assert/strict";
import { test } from "node:test";
import {
  algorithms,
  fedAdagrad,
  fedAdam,
  fedAvgM,
  fedDyn,
  fedIt,
  fedNova,
  fedProx,
  fedYogi,
  type Method,
  scaffold,
  simulate,
  type SimulationOptions,
  uniformFleet,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { planBatches, type TaskModel } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";
import { tinyGradient, type TinyParameters, tinyParameters } from "../../support/tiny_oracle.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 3, seed: 1 });
const pretrained = tinyClassifier(gpu, { width: 4, inner: 3, classes: 3, seed: 7 });
const inner = fedIt({ targets: ["encoder.inner"], rank: 2, alpha: 3 });
const clients = randomClients(train.size, 4, 5);
const options = {
  train,
  test: train,
  clients,
  rounds: 2,
  clientsPerRound: 3,
  blockSize: 2,
  work: { epochs: 1 },
  batchSize: 2,
  learningRate: 0.2,
  evaluateEvery: 0,
  seed: 3,
} as const;

type Values = Map<string, Float64Array>;

/** What an algorithm is in float64, straight from its paper. */
interface Oracle {
  readonly momentum?: number;
  /** What is added to a client's gradient. */
  correct?(name: string, y: Float64Array, client: number): Float64Array;
  /** Moves the global values, given the cohort's trained ones. */
  server(x: Values, cohort: readonly Trained[]): void;
  /** Called before a round with the global values. */
  begin?(x: Values): void;
}

interface Trained {
  readonly client: number;
  readonly share: number;
  readonly steps: number;
  readonly y: Values;
}

const clone = (values: Values): Values => new Map([...values].map(([name, each]) => [name, each.slice()]));
const total = clients.map(({ length }) => length);

/** Σ w_k·f_k, elementwise. */
function mean(
  x: Values,
  cohort: readonly Trained[],
  f: (name: string, i: number, each: Trained) => number,
): Values {
  return new Map([...x].map(([name, values]) => [
    name,
    values.map((_, i) => cohort.reduce((sum, each) => sum + f(name, i, each), 0)),
  ]));
}

const meanChange = (x: Values, cohort: readonly Trained[]) =>
  mean(x, cohort, (name, i, { share, y }) => share * (y.get(name)![i]! - x.get(name)![i]!));

const move = (x: Values, step: Values) =>
  x.forEach((values, name) => values.forEach((_, i) => values[i]! += step.get(name)![i]!));

/** Two rounds in float64. */
async function oracle({ momentum = 0, correct, server, begin }: Oracle): Promise<Values> {
  const { model } = await inner.init(pretrained, { seed: options.seed, numClients: clients.length });
  const start = await tinyParameters(model);
  disposeOwn(model, pretrained);
  const names = [...start.values.keys()].filter((name) => /^head\.|\.lora[AB]$/.test(name));
  const x: Values = new Map(names.map((name) => [name, start.values.get(name)!.data.slice()]));
  const fleet = uniformFleet(total, options);
  for (let round = 1; round <= options.rounds; round++) {
    begin?.(x);
    const cohort = fleet.sample(round);
    const sum = cohort.reduce((all, client) => all + total[client]!, 0);
    const trained = cohort.map((client): Trained => {
      const y = clone(x);
      const velocity: Values = new Map([...x].map(([name, { length }]) => [name, new Float64Array(length)]));
      const batches = planBatches(clients[client]!, { ...options, round, client });
      for (const batch of batches) {
        const at: TinyParameters = {
          scaling: start.scaling,
          values: new Map(
            [...start.values].map((
              [name, each],
            ) => [name, F64Array.from(each.shape, y.get(name) ?? each.data)]),
          ),
        };
        const gradients = names.map((name) => tinyGradient(at, name, train, batch));
        names.forEach((name, n) => {
          const extra = correct?.(name, y.get(name)!, client);
          const own = y.get(name)!;
          own.forEach((_, i) => {
            const v = velocity.get(name)!;
            v[i] = momentum * v[i]! + gradients[n]![i]! + (extra?.[i] ?? 0);
            own[i]! -= options.learningRate * v[i]!;
          });
        });
      }
      return { client, share: total[client]! / sum, steps: batches.length, y };
    });
    server(x, trained);
  }
  return x;
}

/** Two simulated rounds. */
async function simulated(method: Method, momentum = 0): Promise<Map<string, Float32Array>> {
  const settings: SimulationOptions = { ...options, method, optimizer: { name: "sgd", momentum } };
  let model: TaskModel | undefined;
  for await (const event of simulate(pretrained, settings)) {
    if (event.type === "finished") model = event.model;
  }
  const values = await Promise.all(
    [...model!.namedParameters()].map(async ([name, each]) => [name, await each.floats()] as const),
  );
  disposeOwn(model!, pretrained);
  return new Map(values);
}

/**
 * Some 20 steps of rate 0.2, each of gradients that round at 1e-6 of their size, of values near 1: 1e-5. Adaptive servers divide by
 * √v + τ, at worst τ = 0.02 beside changes that round at 1e-7, with rates of at most 0.1: below that.
 */
const tolerance = 1e-5;

async function agree(method: Method, wanted: Oracle): Promise<void> {
  const [found, expected] = [await simulated(method, wanted.momentum), await oracle(wanted)];
  let moved = 0;
  const begin = new Map(
    await Promise.all(
      [...pretrained.namedParameters()].map(async ([name, each]) => [name, await each.floats()] as const),
    ),
  );
  for (const [name, values] of expected) {
    values.forEach((value, i) => {
      const own = found.get(name)![i]!;
      assert.ok(Math.abs(own - value) <= tolerance, `${method.name}, ${name}[${i}]: ${own}, ${value}`);
      moved = Math.max(moved, Math.abs(value - (begin.get(name)?.[i] ?? 0)));
    });
  }
  assert.ok(moved > 100 * tolerance, "the test would not see whether anything moved");
}

const average: Oracle["server"] = (x, cohort) => move(x, meanChange(x, cohort));

test("fedIt and fedProx() are federated averaging and its proximal form, as in float64", async () => {
  await agree(inner, { server: average });
  let global: Values = new Map();
  const mu = 0.7;
  await agree(fedProx(inner, { mu }), {
    begin: (x) => global = clone(x),
    correct: (name, y) => y.map((value, i) => mu * (value - global.get(name)![i]!)),
    server: average,
  });
});

test("scaffold() is option II in float64, with a cohort smaller than the federation", async () => {
  const own = new Map<number, Values>();
  let c: Values = new Map();
  const zero = (x: Values): Values =>
    new Map([...x].map(([name, { length }]) => [name, new Float64Array(length)]));
  await agree(scaffold(inner), {
    begin: (x) => {
      if (c.size === 0) c = zero(x);
      clients.forEach((_, k) => own.has(k) || own.set(k, zero(x)));
    },
    correct: (name, y, k) => y.map((_, i) => c.get(name)![i]! - own.get(k)!.get(name)![i]!),
    server(x, cohort) {
      const change = zero(x);
      for (const { client, steps, y } of cohort) {
        for (const [name, values] of x) {
          const mine = own.get(client)!.get(name)!;
          values.forEach((value, i) => {
            const next = mine[i]! - c.get(name)![i]! +
              (value - y.get(name)![i]!) / (steps * options.learningRate);
            change.get(name)![i]! += (next - mine[i]!) / cohort.length;
            mine[i] = next;
          });
        }
      }
      move(x, mean(x, cohort, (name, i, { y }) => (y.get(name)![i]! - x.get(name)![i]!) / cohort.length));
      move(
        c,
        new Map(
          [...change].map(([name, each]) => [name, each.map((d) => d * cohort.length / clients.length)]),
        ),
      );
    },
  });
});

test("fedDyn() keeps a term for each client and the server's mean of them, in float64, with a cohort smaller than the federation", async () => {
  const alpha = 0.4;
  const zero = (x: Values): Values =>
    new Map([...x].map(([name, { length }]) => [name, new Float64Array(length)]));
  const own = new Map<number, Values>();
  let [h, global]: [Values, Values] = [new Map(), new Map()];
  await agree(fedDyn(inner, { alpha }), {
    begin: (x) => {
      global = clone(x);
      if (h.size === 0) h = zero(x);
      clients.forEach((_, k) => own.has(k) || own.set(k, zero(x)));
    },
    correct: (name, y, k) =>
      y.map((value, i) => alpha * (value - global.get(name)![i]!) - own.get(k)!.get(name)![i]!),
    server(x, cohort) {
      for (const [name, values] of x) {
        values.forEach((value, i) => {
          let [moved, sum] = [0, 0];
          for (const { client, y } of cohort) {
            const end = y.get(name)![i]!;
            own.get(client)!.get(name)![i]! -= alpha * (end - value);
            moved += end - value;
            sum += end;
          }
          h.get(name)![i]! -= alpha / clients.length * moved;
          values[i] = sum / cohort.length - h.get(name)![i]! / alpha;
        });
      }
    },
  });
  // h is the mean of what all clients keep.
  for (const [name, each] of h) {
    each.forEach((value, i) => {
      const mean = clients.reduce((sum, _, k) => sum + own.get(k)!.get(name)![i]!, 0) / clients.length;
      assert.ok(Math.abs(value - mean) <= 1e-12);
    });
  }
});

test("fedNova() normalises by steps, and by how far momentum carries them, as in float64", async () => {
  for (const momentum of [0, 0.6]) {
    const reach = (tau: number) => {
      // Straight from the definition: the sum of the accumulated weights of τ gradients.
      let [velocity, sum] = [0, 0];
      for (let step = 0; step < tau; step++) sum += velocity = momentum * velocity + 1;
      return sum;
    };
    await agree(fedNova(inner), {
      momentum,
      server(x, cohort) {
        const length = cohort.reduce((sum, { share, steps }) => sum + share * reach(steps), 0);
        const normalized = mean(
          x,
          cohort,
          (name, i, { share, steps, y }) => share * (y.get(name)![i]! - x.get(name)![i]!) / reach(steps),
        );
        move(x, new Map([...normalized].map(([name, each]) => [name, each.map((d) => length * d)])));
      },
    });
  }
});

test("fedAvgM(), fedAdagrad(), fedAdam() and fedYogi() step as their papers do, in float64", async () => {
  const momentum = 0.8;
  let v: Values = new Map();
  await agree(fedAvgM(inner, { learningRate: 0.5, momentum }), {
    server(x, cohort) {
      const change = meanChange(x, cohort);
      v = new Map(
        [...change].map(([name, each]) => [name, each.map((d, i) => momentum * (v.get(name)?.[i] ?? 0) + d)]),
      );
      move(x, new Map([...v].map(([name, each]) => [name, each.map((value) => 0.5 * value)])));
    },
  });
  const settings = { learningRate: 0.1, beta1: 0.7, tau: 0.02 };
  const beta2 = 0.9;
  const seconds: [Method, (v: number, d: number) => number][] = [
    [fedAdagrad(inner, settings), (v, d) => v + d * d],
    [fedAdam(inner, { ...settings, beta2 }), (v, d) => beta2 * v + (1 - beta2) * d * d],
    [fedYogi(inner, { ...settings, beta2 }), (v, d) => v - (1 - beta2) * d * d * Math.sign(v - d * d)],
  ];
  for (const [method, second] of seconds) {
    const moments = new Map<string, { m: Float64Array; v: Float64Array }>();
    await agree(method, {
      server(x, cohort) {
        const step = meanChange(x, cohort);
        for (const [name, change] of step) {
          const { length } = change;
          const own = moments.get(name) ??
            { m: new Float64Array(length), v: new Float64Array(length).fill(settings.tau ** 2) };
          moments.set(name, own);
          change.forEach((d, i) => {
            own.m[i] = settings.beta1 * own.m[i]! + (1 - settings.beta1) * d;
            own.v[i] = second(own.v[i]!, d);
            change[i] = settings.learningRate * own.m[i]! / (Math.sqrt(own.v[i]!) + settings.tau);
          });
        }
        move(x, step);
      },
    });
  }
});

test("algorithms refuse methods, optimisers and options that they don't fit", async () => {
  const exact = methodOn("federa-exact", { targets: ["encoder.inner"], rank: 2 });
  for (const name of ["feddyn", "fednova", "fedavgm", "fedadagrad", "fedadam", "fedyogi"]) {
    const over = algorithms.get(name)!(exact);
    assert.throws(() => over.check(pretrained), {
      name: "TypeError",
      message: new RegExp(`Cannot put ${name} over federa-exact: .*combines the uploads of each`),
    });
    await assert.rejects(async () => over.init(pretrained, { seed: 1, numClients: 2 }), {
      name: "TypeError",
    });
  }
  for (
    const [name, over, message] of [
      ["fedsvd", fedDyn, /the factors of fedsvd are others each round; take fedit/],
      ["flora", scaffold, /the factors of flora are others each round; take fedit/],
      ["fedsvd", fedAvgM, /the factors of fedsvd are others each round; take fedit/],
      ["fedrot-lora", scaffold, /clients of fedrot-lora turn it first; take fedit/],
      ["federa-rot", fedNova, /clients of federa-rot turn it first; take fedit/],
    ] as const
  ) {
    assert.throws(() => over(methodOn(name, { targets: ["encoder.inner"], rank: 2 })).check(pretrained), {
      name: "TypeError",
      message,
    });
  }
  for (const optimizer of [{ name: "adamw" }, { name: "sgd", momentum: 0.9 }] as const) {
    assert.throws(() => scaffold(inner).checkTraining!({ optimizer }), {
      name: "TypeError",
      message: /Cannot run scaffold with (adamw|momentum): .*plain SGD/,
    });
  }
  assert.throws(() => fedProx(inner, { mu: 0 }), {
    name: "RangeError",
    message: /Cannot use fedprox: mu: expected more/,
  });
});

test("every algorithm goes over every method that it doesn't refuse, and leaves nothing on the GPU", async () => {
  for (const [label, algorithm] of algorithms) {
    // These go the way of FedAdam.
    if (["fedadagrad", "fedyogi"].includes(label)) continue;
    for (const name of methodNames) {
      const method = algorithm(methodOn(name, { targets: ["encoder.inner"], rank: 2 }));
      try {
        method.check(pretrained);
      } catch {
        continue;
      }
      const before = gpu.stats().liveBytes;
      const run = simulate(pretrained, { ...options, method, optimizer: { name: "sgd" } });
      for await (const event of run) if (event.type === "finished") disposeOwn(event.model, pretrained);
      assert.equal(gpu.stats().liveBytes, before, `${label} over ${name}`);
    }
  }
});
