import binarySource from "../../shaders/binary.wgsl";
import unarySource from "../../shaders/unary.wgsl";
import { record } from "../autograd.ts";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { broadcastShapes, broadcastStrides, collapseAxes, formatShape, sameShape, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { checkOperands, launch } from "./launch.ts";
import { sumTo } from "./reduction/reduction.ts";

const unaryKernel = new Kernel({
  name: "unary",
  source: unarySource,
  bindings: ["read", "write"],
});
const binaryKernel = new Kernel({
  name: "binary",
  source: binarySource,
  bindings: ["read", "read", "write"],
});
const broadcastKernel = new Kernel({
  name: "broadcast",
  source: binarySource,
  entry: "broadcast",
  bindings: ["read", "read", "write"],
});

/** Scalars of an operation: an exponent, or bounds. */
type Scalars = readonly [number, number];

function unary(op: string, x: Tensor, [p0, p1]: Scalars = [0, 0]): Tensor {
  checkOperands(op.toLowerCase(), [x]);
  const y = empty(x.gpu, x.shape);
  launch(unaryKernel, {
    tensors: [x, y],
    params: [x.size, f32Bits(p0), f32Bits(p1)],
    threads: Math.ceil(x.size / 4),
    constants: { OP: op },
  });
  return y;
}

function binary(op: string, a: Tensor, b: Tensor, [p0, p1]: Scalars = [0, 0]): Tensor {
  checkOperands(op.toLowerCase(), [a, b]);
  const shape = broadcastShapes(a.shape, b.shape);
  const z = empty(a.gpu, shape);
  if (sameShape(a.shape, b.shape)) {
    launch(binaryKernel, {
      tensors: [a, b, z],
      params: [...new Array(12).fill(0), z.size, f32Bits(p0), f32Bits(p1)],
      threads: Math.ceil(z.size / 4),
      constants: { OP: op, QUADS: false },
    });
    return z;
  }
  const collapsed = collapseAxes(shape, [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)]);
  if (collapsed.shape.length > 4) {
    throw new TypeError(
      `Cannot broadcast ${formatShape(a.shape)} and ${
        formatShape(b.shape)
      }: more than 4 axes remain after merging`,
    );
  }
  const pad = (
    values: readonly number[],
    by: number,
  ) => [...new Array<number>(4 - values.length).fill(by), ...values];
  const QUADS = (collapsed.shape.at(-1) ?? 1) % 4 === 0;
  launch(broadcastKernel, {
    tensors: [a, b, z],
    params: [
      ...pad(collapsed.shape, 1),
      ...pad(collapsed.strideLists[0]!, 0),
      ...pad(collapsed.strideLists[1]!, 0),
      sizeOf(shape),
      f32Bits(p0),
      f32Bits(p1),
    ],
    threads: QUADS ? z.size / 4 : z.size,
    constants: { OP: op, QUADS },
  });
  return z;
}

/** A tensor, or a number that applies to every element. */
export type Operand = Tensor | number;

/** a + b, broadcast. */
export function add(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return record(unary("SHIFT", a, [b, 0]), [a], [(dy) => dy]);
  return record(binary("ADD", a, b), [a, b], [(dy) => dy, (dy) => dy]);
}

/** a − b, broadcast. */
export function sub(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return add(a, -b);
  // Changing the sign of the sum is less work than summing what has changed its sign.
  return record(binary("SUB", a, b), [a, b], [(dy) => dy, (dy) => neg(sumTo(dy, b.shape))]);
}

/** a · b, broadcast. */
export function mul(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return record(unary("SCALE", a, [b, 0]), [a], [(dy) => mul(dy, b)]);
  return record(binary("MUL", a, b), [a, b], [
    (dy) => mul(dy, b),
    (dy) => mul(dy, a),
  ]);
}

/** a / b, broadcast. */
export function div(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return record(unary("DIVIDE", a, [b, 0]), [a], [(dy) => div(dy, b)]);
  const z = binary("DIV", a, b);
  return record(z, [a, b], [
    (dy) => div(dy, b),
    (dy) => neg(div(mul(dy, z), b)),
  ]);
}

/**
 * a to the power b, broadcast. A negative base takes an integer exponent; else the result is NaN, as in IEEE 754.
 * The gradient by a tensor exponent is a^b·log a, taken as 0 at a = 0.
 */
export function pow(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") {
    if (b === 2) return square(a);
    return record(unary("POW", a, [b, 0]), [a], [(dy) => binary("POW_GRADIENT", a, dy, [b, 0])]);
  }
  const z = binary("POW", a, b);
  return record(z, [a, b], [
    (dy) => mul(dy, binary("POW_SLOPE", a, b)),
    (dy) => mul(dy, binary("POW_LOG", a, b)),
  ]);
}

/** The larger of two, broadcast; where they are equal each gets half of the gradient. */
export function maximum(a: Tensor, b: Tensor): Tensor {
  return record(binary("MAXIMUM", a, b), [a, b], [
    (dy) => mul(dy, greaterShare(a, b)),
    (dy) => mul(dy, greaterShare(b, a)),
  ]);
}

/** The smaller of two, broadcast; where they are equal each gets half of the gradient. */
export function minimum(a: Tensor, b: Tensor): Tensor {
  return record(binary("MINIMUM", a, b), [a, b], [
    (dy) => mul(dy, greaterShare(b, a)),
    (dy) => mul(dy, greaterShare(a, b)),
  ]);
}

/** 1 where a > b, ½ where they are equal, else 0. */
function greaterShare(a: Tensor, b: Tensor): Tensor {
  return tidy(() => mul(add(less(b, a), lessEqual(b, a)), 0.5));
}

/** 1 where a = b, else 0; no gradient. */
export function equal(a: Tensor, b: Tensor): Tensor {
  return binary("EQUAL", a, b);
}

/** 1 where a < b, else 0; no gradient. */
export function less(a: Tensor, b: Tensor): Tensor {
  return binary("LESS", a, b);
}

/** 1 where a ≤ b, else 0; no gradient. */
export function lessEqual(a: Tensor, b: Tensor): Tensor {
  return binary("LESS_EQUAL", a, b);
}

/** −x. */
export function neg(x: Tensor): Tensor {
  return record(unary("NEG", x), [x], [neg]);
}

/** |x|; the gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return record(unary("ABS", x), [x], [(dy) => binary("ABS_GRADIENT", x, dy)]);
}

/** x². */
export function square(x: Tensor): Tensor {
  return record(unary("SQUARE", x), [x], [(dy) => mul(mul(dy, x), 2)]);
}

/** √x. */
export function sqrt(x: Tensor): Tensor {
  const y = unary("SQRT", x);
  return record(y, [x], [(dy) => binary("SQRT_GRADIENT", y, dy)]);
}

/** 1/√x. */
export function rsqrt(x: Tensor): Tensor {
  const y = unary("RSQRT", x);
  return record(y, [x], [(dy) => binary("RSQRT_GRADIENT", y, dy)]);
}

/** eˣ. */
export function exp(x: Tensor): Tensor {
  const y = unary("EXP", x);
  return record(y, [x], [(dy) => mul(dy, y)]);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return record(unary("LOG", x), [x], [(dy) => div(dy, x)]);
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  const y = unary("TANH", x);
  return record(y, [x], [(dy) => binary("TANH_GRADIENT", y, dy)]);
}

/** 1/(1 + e⁻ˣ). */
export function sigmoid(x: Tensor): Tensor {
  const y = unary("SIGMOID", x);
  return record(y, [x], [(dy) => binary("SIGMOID_GRADIENT", y, dy)]);
}

/** max(x, 0); the gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return record(unary("RELU", x), [x], [(dy) => binary("RELU_GRADIENT", x, dy)]);
}

/** log(1 + eˣ), accurate where eˣ is tiny and finite where it would overflow. */
export function softplus(x: Tensor): Tensor {
  return record(unary("SOFTPLUS", x), [x], [(dy) => mul(dy, sigmoid(x))]);
}

/** x·σ(x). */
export function silu(x: Tensor): Tensor {
  return record(unary("SILU", x), [x], [(dy) => binary("SILU_GRADIENT", x, dy)]);
}

/** Options of {@linkcode gelu}. */
export interface GeluOptions {
  /** `"tanh"` for the approximation of GPT-2 and BERT's original code; the exact erf form by default. */
  readonly approximate?: "none" | "tanh";
}

/** x·Φ(x), Φ being the normal distribution function (Hendrycks & Gimpel, arXiv 1606.08415). */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  const op = options.approximate === "tanh" ? "GELU_TANH" : "GELU";
  return record(unary(op, x), [x], [(dy) => binary(`${op}_GRADIENT`, x, dy)]);
}

/**
 * x cut to [low, high]; the gradient passes where x is within, bounds included.
 *
 * @throws {RangeError} when low > high.
 */
export function clamp(x: Tensor, bounds: { readonly low: number; readonly high: number }): Tensor {
  const { low, high } = bounds;
  if (!(low <= high)) throw new RangeError(`Cannot clamp to [${low}, ${high}]: low must not exceed high`);
  return record(unary("CLAMP", x, [low, high]), [x], [(dy) => binary("CLAMP_GRADIENT", x, dy, [low, high])]);
}
