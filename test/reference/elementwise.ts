import { broadcastShapes, broadcastSource, F64Array, sumToShape, take } from "./array.ts";
import { normalCdf, normalPdf } from "./erf.ts";

/** A function of one number and its derivative. */
export interface UnaryRule {
  readonly forward: (x: number) => number;
  readonly derivative: (x: number) => number;
}

/** A function of two numbers and its two partial derivatives. */
export interface BinaryRule {
  readonly forward: (a: number, b: number) => number;
  readonly derivatives: (a: number, b: number) => readonly [number, number];
}

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** 1 / (1 + e^(−x)) without overflow. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** The tanh form of GELU is x·σ(2u) with this u = √(2/π)·(x + 0.044715 x³), as (1 + tanh u)/2 = σ(2u). */
function geluArgument(x: number): number {
  return GELU_SCALE * (x + GELU_CUBIC * x ** 3);
}

/** Unary oracles by name. At a kink: relu′(0) = 0 and abs′(0) = 0. */
export const UNARY = {
  exp: { forward: Math.exp, derivative: Math.exp },
  log: { forward: Math.log, derivative: (x) => 1 / x },
  sqrt: { forward: Math.sqrt, derivative: (x) => 0.5 / Math.sqrt(x) },
  rsqrt: { forward: (x) => 1 / Math.sqrt(x), derivative: (x) => -0.5 / (x * Math.sqrt(x)) },
  tanh: { forward: Math.tanh, derivative: (x) => 1 / Math.cosh(x) ** 2 },
  sigmoid: { forward: sigmoid, derivative: (x) => sigmoid(x) * sigmoid(-x) },
  relu: { forward: (x) => Math.max(x, 0), derivative: (x) => x > 0 ? 1 : 0 },
  silu: {
    forward: (x) => x * sigmoid(x),
    derivative: (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
  },
  geluErf: {
    forward: (x) => x * normalCdf(x),
    derivative: (x) => normalCdf(x) + x * normalPdf(x),
  },
  geluTanh: {
    forward: (x) => x * sigmoid(2 * geluArgument(x)),
    derivative(x) {
      const u = geluArgument(x);
      const slope = 2 * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
      return sigmoid(2 * u) * (1 + x * sigmoid(-2 * u) * slope);
    },
  },
  neg: { forward: (x) => -x, derivative: () => -1 },
  abs: { forward: Math.abs, derivative: Math.sign },
  square: { forward: (x) => x * x, derivative: (x) => 2 * x },
} as const satisfies Record<string, UnaryRule>;

/** Name of a unary oracle. */
export type UnaryName = keyof typeof UNARY;

/**
 * Binary oracles by name, with torch's conventions: a tie of maximum or minimum gives each side half of the
 * gradient; pow has a zero partial for the base where the exponent is 0, and for the exponent where the base is 0.
 */
export const BINARY = {
  add: { forward: (a, b) => a + b, derivatives: () => [1, 1] },
  sub: { forward: (a, b) => a - b, derivatives: () => [1, -1] },
  mul: { forward: (a, b) => a * b, derivatives: (a, b) => [b, a] },
  div: { forward: (a, b) => a / b, derivatives: (a, b) => [1 / b, -a / (b * b)] },
  pow: {
    forward: (a, b) => a ** b,
    derivatives: (a, b) => [b === 0 ? 0 : b * a ** (b - 1), a === 0 && b >= 0 ? 0 : a ** b * Math.log(a)],
  },
  maximum: { forward: Math.max, derivatives: (a, b) => a === b ? [0.5, 0.5] : a > b ? [1, 0] : [0, 1] },
  minimum: { forward: Math.min, derivatives: (a, b) => a === b ? [0.5, 0.5] : a < b ? [1, 0] : [0, 1] },
} as const satisfies Record<string, BinaryRule>;

/** Name of a binary oracle. */
export type BinaryName = keyof typeof BINARY;

/** Comparisons by name; true is 1 and false is 0. They have no gradient. */
export const COMPARISON = {
  equal: (a, b) => a === b,
  notEqual: (a, b) => a !== b,
  less: (a, b) => a < b,
  lessEqual: (a, b) => a <= b,
  greater: (a, b) => a > b,
  greaterEqual: (a, b) => a >= b,
} as const satisfies Record<string, (a: number, b: number) => boolean>;

/** Name of a comparison oracle. */
export type ComparisonName = keyof typeof COMPARISON;

/** Applies a unary oracle. */
export function unary(name: UnaryName, x: F64Array): F64Array {
  return x.map(UNARY[name].forward);
}

/** Gradient of `x` under {@link unary}, given the gradient `dy` of the result. */
export function unaryGradient(name: UnaryName, x: F64Array, dy: F64Array): F64Array {
  const rule: UnaryRule = UNARY[name];
  return dy.map((gradient, i) => gradient * rule.derivative(x.data[i]!));
}

/** Applies a binary oracle with broadcasting. */
export function binary(name: BinaryName, a: F64Array, b: F64Array): F64Array {
  return zip(BINARY[name].forward, a, b);
}

/** Gradients of `a` and `b` under {@link binary}, each summed over its own broadcast axes. */
export function binaryGradient(
  name: BinaryName,
  a: F64Array,
  b: F64Array,
  dy: F64Array,
): [F64Array, F64Array] {
  const rule: BinaryRule = BINARY[name];
  const [wideA, wideB] = [broadcast(a, dy.shape), broadcast(b, dy.shape)];
  const partials = Array.from(wideA.data, (value, i) => rule.derivatives(value, wideB.data[i]!));
  return [
    sumToShape(dy.map((gradient, i) => gradient * partials[i]![0]), a.shape),
    sumToShape(dy.map((gradient, i) => gradient * partials[i]![1]), b.shape),
  ];
}

/** Compares with broadcasting, to ones and zeros. */
export function compare(name: ComparisonName, a: F64Array, b: F64Array): F64Array {
  return zip((left, right) => COMPARISON[name](left, right) ? 1 : 0, a, b);
}

/** `condition ? a : b` with broadcasting of all three; any non-zero condition is true. */
export function where(condition: F64Array, a: F64Array, b: F64Array): F64Array {
  const shape = broadcastShapes(condition.shape, a.shape, b.shape);
  const [wideA, wideB] = [broadcast(a, shape), broadcast(b, shape)];
  return broadcast(condition, shape).map((value, i) => value !== 0 ? wideA.data[i]! : wideB.data[i]!);
}

/** Gradients of `a` and `b` under {@link where}. */
export function whereGradient(
  condition: F64Array,
  a: F64Array,
  b: F64Array,
  dy: F64Array,
): [F64Array, F64Array] {
  const chosen = broadcast(condition, dy.shape);
  return [
    sumToShape(dy.map((gradient, i) => chosen.data[i] !== 0 ? gradient : 0), a.shape),
    sumToShape(dy.map((gradient, i) => chosen.data[i] === 0 ? gradient : 0), b.shape),
  ];
}

/** Limits every element to [min, max]. */
export function clamp(x: F64Array, min: number, max: number): F64Array {
  return x.map((value) => Math.min(Math.max(value, min), max));
}

/** Gradient of {@link clamp}: passes inside the bounds and on them. */
export function clampGradient(x: F64Array, min: number, max: number, dy: F64Array): F64Array {
  return dy.map((gradient, i) => x.data[i]! >= min && x.data[i]! <= max ? gradient : 0);
}

function broadcast(x: F64Array, shape: readonly number[]): F64Array {
  return take(x, shape, broadcastSource(x.shape, shape));
}

function zip(f: (a: number, b: number) => number, a: F64Array, b: F64Array): F64Array {
  const shape = broadcastShapes(a.shape, b.shape);
  const wideB = broadcast(b, shape);
  return broadcast(a, shape).map((value, i) => f(value, wideB.data[i]!));
}
