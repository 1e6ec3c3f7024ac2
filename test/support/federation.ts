import fc from "fast-check";
import { assign, type Gpu, type Tensor, tensor } from "../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, lora } from "../../src/federa/mod.ts";
import type { Client, Uploads } from "../../src/fl/mod.ts";
import type { TaskModel } from "../../src/tasks/mod.ts";
import { upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { matmul } from "../reference/matmul.ts";
import { gaussian } from "./matrices.ts";
import { Random } from "./random.ts";
import { tinyClassifier } from "./tiny_encoder.ts";

/** The layer that {@link federation} adapts. */
export const adaptedLayer = "encoder.inner";

/** One round of a federation. */
export interface FederationCase {
  /** Examples of each client. */
  readonly counts: readonly number[];
  readonly rank: number;
  /** Length of the updates beside factors of length 1. */
  readonly scale: number;
  readonly trained: "both" | "A" | "B";
  readonly blockSize: number;
  readonly seed: number;
  /** Of the weight, [5, 7] by default. */
  readonly shape?: readonly [out: number, width: number];
}

/** Rounds of up to nine clients. */
export const federationCases: fc.Arbitrary<FederationCase> = fc.record({
  counts: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 9 }),
  rank: fc.integer({ min: 1, max: 5 }),
  scale: fc.constantFrom(1e-4, 0.01, 1, 10),
  trained: fc.constantFrom("both", "A", "B"),
  blockSize: fc.integer({ min: 1, max: 9 }),
  seed: fc.nat(),
});

/** The two factors of the adapted layer. */
export interface Factors {
  readonly a: F64Array;
  readonly b: F64Array;
}

/** A round on the host: where it starts, and what each client made of it. */
export interface Federation {
  /** The model without adapters. */
  readonly pretrained: TaskModel;
  readonly model: TaskModel;
  readonly start: Factors;
  readonly clients: readonly Factors[];
  readonly shares: readonly number[];
}

/** A model of random factors, moved by each client at random. */
export async function federation(
  gpu: Gpu,
  { counts, rank, scale, trained, seed, shape: [out, width] = [5, 7] }: FederationCase,
): Promise<Federation> {
  const random = new Random(seed);
  const draw = (shape: readonly number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
  const pretrained = tinyClassifier(gpu, { width, inner: out, seed });
  const model = await attachAdapters(pretrained, {
    targets: [adaptedLayer],
    rank,
    alpha: 3 * rank,
    initialization: lora,
  });
  const start = { a: draw([rank, width]), b: draw([out, rank]) };
  const { loraA, loraB } = adaptersOf(model).get(adaptedLayer)!;
  assign(loraA, upload(gpu, start.a));
  assign(loraB, upload(gpu, start.b));
  const move = (x: F64Array) =>
    F64Array.fromF32(x.shape, draw(x.shape).map((value, i) => x.data[i]! + scale * value).data);
  const clients = counts.map(() => ({
    a: trained === "B" ? start.a : move(start.a),
    b: trained === "A" ? start.b : move(start.b),
  }));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return { pretrained, model, start, clients, shares: counts.map((count) => count / total) };
}

/** The clients' updates, block by block. */
export function* updates(
  gpu: Gpu,
  { clients, shares }: Federation,
  options: FederationCase,
): Generator<Uploads> {
  const { blockSize, trained } = options;
  for (let from = 0; from < clients.length; from += blockSize) {
    const members = clients.slice(from, from + blockSize);
    const values = new Map<string, Tensor>();
    for (const [key, name] of [["a", "loraA"], ["b", "loraB"]] as const) {
      if (trained !== "both" && trained !== key.toUpperCase()) continue;
      const stacked = members.flatMap((each) => [...each[key].data]);
      const shape = [members.length, ...members[0]![key].shape];
      values.set(`${adaptedLayer}.${name}`, upload(gpu, F64Array.from(shape, stacked)));
    }
    const own = shares.slice(from, from + blockSize);
    yield { clients: clientsFrom(from, members.length), values, shares: own, weights: tensor(gpu, own) };
  }
}

/** Clients by their numbers. */
export function clientsFrom(first: number, count: number): Client[] {
  return Array.from({ length: count }, (_, i) => ({ id: first + i, numExamples: 1, lastRound: 0 }));
}

/** Σ w_k·x_k. */
export function mix(xs: readonly F64Array[], weights: readonly number[]): F64Array {
  return xs[0]!.map((_, i) => xs.reduce((total, x, k) => total + weights[k]! * x.data[i]!, 0));
}

/** x − y. */
export function subtract(x: F64Array, y: F64Array): F64Array {
  return x.map((value, i) => value - y.data[i]!);
}

/** E = Σ p·B·A − B̄·Ā and the exact change Σ p·B·A − B·A in float64, straight from their definitions. */
export function aggregateOracle(
  { start, clients, shares }: Federation,
): { error: F64Array; change: F64Array } {
  const products = mix(clients.map(({ a, b }) => matmul(b, a)), shares);
  const averaged = matmul(mix(clients.map(({ b }) => b), shares), mix(clients.map(({ a }) => a), shares));
  return { error: subtract(products, averaged), change: subtract(products, matmul(start.b, start.a)) };
}

/** The effective weight W + s·B·A of the adapted layer, in float64. */
export function effectiveWeight(weight: F64Array, { a, b }: Factors, scaling: number): F64Array {
  return matmul(b, a).map((value, i) => weight.data[i]! + scaling * value);
}
