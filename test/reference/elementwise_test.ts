import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import {
  BINARY,
  binary,
  binaryGradient,
  type BinaryName,
  clamp,
  clampGradient,
  compare,
  UNARY,
  unary,
  unaryGradient,
  type UnaryName,
  where,
  whereGradient,
} from "./elementwise.ts";
import { erf, erfc, normalCdf } from "./erf.ts";

const random = new Random(1);
const scalar = (value: number) => F64Array.from([], [value]);
const values = (x: F64Array) => [...x.data];

test("erf() and erfc() match tabulated values", () => {
  // Abramowitz & Stegun table 7.1, and erfc(5) from DLMF; float64 leaves about 1e-15 relative.
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual / expected - 1) < 4e-15, `${actual}`);
  near(erf(0.5), 0.5204998778130465);
  near(erf(1), 0.8427007929497149);
  near(erf(-2), -0.9953222650189527);
  near(erfc(2), 0.004677734981047266);
  near(erfc(3), 2.209049699858544e-5);
  near(erfc(5), 1.5374597944280349e-12);
  assert.equal(erf(0), 0);
  assert.equal(erf(40), 1);
  // Rounding −x/√2 alone changes Φ(−10) by up to x²·2⁻⁵² relative.
  assert.ok(Math.abs(normalCdf(-10) / 7.619853024160527e-24 - 1) < 100 * 2 ** -52);
});

test("unary() matches hand-worked values", () => {
  const cases: [UnaryName, number, number][] = [
    ["exp", 1, Math.E],
    ["log", Math.E, 1],
    ["sqrt", 9, 3],
    ["rsqrt", 4, 0.5],
    ["tanh", Math.log(2), 0.6],
    ["sigmoid", Math.log(3), 0.75],
    ["sigmoid", -800, 0],
    ["relu", -2, 0],
    ["silu", Math.log(3), 0.75 * Math.log(3)],
    ["geluErf", 1, 0.8413447460685429],
    ["geluErf", -1, -0.15865525393145707],
    ["geluTanh", 1, 0.8411919906082768],
    ["geluTanh", -1, -0.15880800939172324],
    ["neg", 2, -2],
    ["abs", -2, 2],
    ["square", -3, 9],
  ];
  for (const [name, x, expected] of cases) {
    const actual = unary(name, scalar(x)).data[0]!;
    assert.ok(Math.abs(actual - expected) < 1e-15 * 4, `${name}(${x}) = ${actual}, expected ${expected}`);
  }
});

test("unaryGradient() matches central differences", () => {
  const positive = gaussian([7], random).map((x) => 0.3 + Math.abs(x));
  const signed = gaussian([7], random).map((x) => x + Math.sign(x) * 0.01);
  for (const name of Object.keys(UNARY) as UnaryName[]) {
    const x = ["log", "sqrt", "rsqrt"].includes(name) ? positive : signed;
    checkGradient((input) => unary(name, input!), (dy) => [unaryGradient(name, x, dy)], [x]);
  }
});

test("unaryGradient() is zero at the kinks of relu and abs", () => {
  for (const name of ["relu", "abs"] as const) {
    assert.deepEqual(values(unaryGradient(name, scalar(0), scalar(1))), [0]);
  }
});

test("binary() broadcasts", () => {
  const column = F64Array.from([2, 1], [8, 2]);
  const row = F64Array.from([3], [1, 2, 4]);
  const expected: Record<BinaryName, number[]> = {
    add: [9, 10, 12, 3, 4, 6],
    sub: [7, 6, 4, 1, 0, -2],
    mul: [8, 16, 32, 2, 4, 8],
    div: [8, 4, 2, 2, 1, 0.5],
    pow: [8, 64, 4096, 2, 4, 16],
    maximum: [8, 8, 8, 2, 2, 4],
    minimum: [1, 2, 4, 1, 2, 2],
  };
  for (const name of Object.keys(BINARY) as BinaryName[]) {
    const result = binary(name, column, row);
    assert.deepEqual(result.shape, [2, 3]);
    assert.deepEqual(values(result), expected[name], name);
  }
});

test("binaryGradient() matches central differences and sums over broadcast axes", () => {
  const a = gaussian([2, 1, 3], random).map((x) => 0.5 + Math.abs(x));
  const b = gaussian([4, 1], random).map((x) => x + Math.sign(x) * 0.5);
  for (const name of Object.keys(BINARY) as BinaryName[]) {
    checkGradient((x, y) => binary(name, x!, y!), (dy) => binaryGradient(name, a, b, dy), [a, b]);
  }
});

test("binaryGradient() splits ties and keeps pow finite at zero", () => {
  const gradients = (name: BinaryName, a: number, b: number) =>
    binaryGradient(name, scalar(a), scalar(b), scalar(1)).map((array) => array.data[0]);
  assert.deepEqual(gradients("maximum", 2, 2), [0.5, 0.5]);
  assert.deepEqual(gradients("minimum", 2, 2), [0.5, 0.5]);
  assert.deepEqual(gradients("pow", 0, 0), [0, 0]);
  assert.deepEqual(gradients("pow", 0, 2), [0, 0]);
  assert.deepEqual(gradients("pow", 2, 0), [0, Math.log(2)]);
});

test("compare() gives ones and zeros", () => {
  const [a, b] = [F64Array.from([3], [1, 2, 3]), scalar(2)];
  assert.deepEqual(values(compare("equal", a, b)), [0, 1, 0]);
  assert.deepEqual(values(compare("notEqual", a, b)), [1, 0, 1]);
  assert.deepEqual(values(compare("less", a, b)), [1, 0, 0]);
  assert.deepEqual(values(compare("lessEqual", a, b)), [1, 1, 0]);
  assert.deepEqual(values(compare("greater", a, b)), [0, 0, 1]);
  assert.deepEqual(values(compare("greaterEqual", a, b)), [0, 1, 1]);
});

test("where() and whereGradient() choose and route", () => {
  const condition = F64Array.from([2, 1], [1, 0]);
  const [a, b] = [F64Array.from([3], [1, 2, 3]), scalar(9)];
  assert.deepEqual(values(where(condition, a, b)), [1, 2, 3, 9, 9, 9]);
  checkGradient((x, y) => where(condition, x!, y!), (dy) => whereGradient(condition, a, b, dy), [a, b]);
});

test("clamp() and clampGradient() include the bounds", () => {
  const x = F64Array.from([5], [-2, -1, 0, 1, 2]);
  assert.deepEqual(values(clamp(x, -1, 1)), [-1, -1, 0, 1, 1]);
  assert.deepEqual(values(clampGradient(x, -1, 1, F64Array.full([5], 3))), [0, 3, 3, 3, 0]);
});
