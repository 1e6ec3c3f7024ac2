import fc from "fast-check";
import { F64Array, sizeOf } from "../reference/array.ts";
import { Random } from "./random.ts";

/** Extents worth testing: 1, small primes, and both sides of every usual tile and subgroup size. */
const EXTENTS = [1, 2, 3, 4, 5, 7, 8, 11, 13, 15, 16, 17, 31, 32, 33, 61, 63, 64, 65, 79, 80] as const;

/** Options of {@link shapes}. */
export interface ShapesOptions {
  /** 0 (a scalar) by default. */
  readonly minRank?: number;
  /** 4 by default. */
  readonly maxRank?: number;
  /** Most elements; 4096 by default. */
  readonly maxSize?: number;
}

/** One extent from 1 to `max`: odd, prime, 1 and larger than a tile. */
export function extents(max = 80): fc.Arbitrary<number> {
  return fc.constantFrom(...EXTENTS.filter((extent) => extent <= max));
}

/** Shapes within a rank and a size; the later axes are the larger ones where the bound on the size bites. */
export function shapes(options: ShapesOptions = {}): fc.Arbitrary<number[]> {
  const { minRank = 0, maxRank = 4, maxSize = 4096 } = options;
  return fc.array(extents(), { minLength: minRank, maxLength: maxRank }).map((candidates) => {
    let room = maxSize;
    return candidates.map((candidate) => {
      const extent = Math.min(candidate, room);
      room = Math.floor(room / extent);
      return extent;
    }).reverse();
  });
}

/** Two shapes that broadcast with each other: axes turned into 1 on either side, leading axes dropped on one. */
export function broadcastPairs(options: ShapesOptions = {}): fc.Arbitrary<[number[], number[]]> {
  return shapes(options).chain((shape) => {
    const rank = shape.length;
    const sides = fc.array(fc.constantFrom("both", "left", "right"), { minLength: rank, maxLength: rank });
    return fc.tuple(sides, fc.nat({ max: rank }), fc.boolean()).map(([kept, dropped, swap]) => {
      const left = shape.map((extent, axis) => kept[axis] === "right" ? 1 : extent);
      const right = shape.map((extent, axis) => kept[axis] === "left" ? 1 : extent).slice(dropped);
      return swap ? [right, left] : [left, right];
    });
  });
}

/** Kinds of float32 data. All elements of one array are of one kind; `mixed` draws a kind for each. */
export type ValueClass = "ordinary" | "tiny" | "huge" | "denormal" | "zero" | "equal" | "mixed";

/** Options of {@link f32Arrays}. */
export interface F32ArraysOptions {
  /** Kinds to draw from; all by default. */
  readonly classes?: readonly ValueClass[];
  /** Bounds that the operation needs (rounded to float32); values outside are folded back. Unbounded by default. */
  readonly min?: number;
  readonly max?: number;
  /** Magnitude of `huge`; 1e30 by default. */
  readonly huge?: number;
  /** Magnitude of `tiny`; 1e-30 by default. */
  readonly tiny?: number;
}

const CLASSES: readonly ValueClass[] = ["ordinary", "tiny", "huge", "denormal", "zero", "equal", "mixed"];
const SINGLE_CLASSES = CLASSES.filter((kind) => kind !== "equal" && kind !== "mixed");

/** Arrays of one shape whose elements are exact float32 numbers. They come from a seed, so that large ones are cheap. */
export function f32Arrays(shape: readonly number[], options: F32ArraysOptions = {}): fc.Arbitrary<F64Array> {
  const kinds = fc.constantFrom(...(options.classes ?? CLASSES));
  return fc.tuple(kinds, fc.nat()).map(([kind, seed]) => {
    const random = new Random(seed);
    const shared = f32Value("ordinary", random, options);
    const values = Array.from(
      { length: sizeOf(shape) },
      () => kind === "equal" ? shared : f32Value(kind, random, options),
    );
    return F64Array.fromF32(shape, values);
  });
}

/**
 * Finite float32 numbers evenly over their bits, so of every magnitude; or all of them whole multiples of the smallest denormal.
 */
export function anyFloats(size: number): fc.Arbitrary<Float32Array> {
  return fc.tuple(fc.nat(), fc.constantFrom(0xffffffff, 0x800000ff)).map(([seed, mask]) => {
    const random = new Random(seed);
    const bits = Uint32Array.from({ length: size }, () => (random.integer(2 ** 32) & mask) >>> 0);
    return new Float32Array(bits.buffer).map((value) => Number.isFinite(value) ? value : 0);
  });
}

/**
 * Numbers from `min` to `max`, equally often of every magnitude. `fc.double` draws every *float* equally often, so that
 * from 0 on nearly all of them are next to 0.
 */
export function magnitudes(min: number, max: number): fc.Arbitrary<number> {
  const steps = 2 ** 20;
  return fc.nat(steps).map((step) => Math.min(max, min * (max / min) ** (step / steps)));
}

/** Numbers from 0 to 1, both included, evenly. */
export function fractions(): fc.Arbitrary<number> {
  const steps = 2 ** 20;
  return fc.nat(steps).map((step) => step / steps);
}

/** Labels, ids or indices: integers in [0, bound). */
export function integerArrays(shape: readonly number[], bound: number): fc.Arbitrary<F64Array> {
  return fc.nat().map((seed) => {
    const random = new Random(seed);
    return F64Array.full(shape).map(() => random.integer(bound));
  });
}

function f32Value(kind: ValueClass, random: Random, options: F32ArraysOptions): number {
  const { min = -Infinity, max = Infinity } = options;
  const single = kind === "mixed" ? SINGLE_CLASSES[random.integer(SINGLE_CLASSES.length)]! : kind;
  const value = Math.fround(random.normal() * scaleOf(single, options));
  if (value >= min && value <= max) return value;
  if (-value >= min && -value <= max) return -value;
  return Math.min(Math.max(value, min), max);
}

function scaleOf(kind: ValueClass, { huge = 1e30, tiny = 1e-30 }: F32ArraysOptions): number {
  switch (kind) {
    case "huge":
      return huge;
    case "tiny":
      return tiny;
    case "denormal":
      return 2 ** -130;
    case "zero":
      return 0;
    default:
      return 1;
  }
}
