import { disposeAll, linear, matmul, type Tensor, tensor, toPrecision } from "../../../src/engine/mod.ts";
import { byteShares, flopShares, type StageContext, uniformValues } from "../stage.ts";
import { type Check, type GpuRow, relativeDifference } from "../row.ts";
import { ours, time, type Timed, torchContenders } from "../timing.ts";

/** A batch of equal products; `ta` and `tb` say which operand is stored transposed. */
interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly batch?: number;
  readonly ta?: boolean;
  readonly tb?: boolean;
}

/** From square ones to those of encoders with many rows, and the skinny ones of adapters. */
const products: readonly Product[] = [
  { m: 256, k: 256, n: 256 },
  { m: 1024, k: 384, n: 1536, tb: true },
  { m: 4096, k: 768, n: 8, tb: true },
  { m: 8, k: 4096, n: 768, ta: true },
  { m: 509, k: 251, n: 383 },
  { batch: 48, m: 64, k: 64, n: 64 },
  { m: 1024, k: 1024, n: 1024 },
  { m: 8, k: 768, n: 768 },
  { m: 8192, k: 384, n: 1536, tb: true },
  { m: 8192, k: 1536, n: 384 },
  { m: 8192, k: 768, n: 3072, tb: true },
  { m: 2048, k: 2048, n: 2048 },
  { m: 4096, k: 4096, n: 4096 },
  { m: 8192, k: 8, n: 768, tb: true },
  { m: 512, k: 512, n: 512 },
];
const quickProducts = 6;
const unitRoundoff = 2 ** -24;

/** Matrix products with operands on the device, and products by frozen weights in each precision. */
export async function* matmulStage(context: StageContext): AsyncIterable<GpuRow> {
  for (const product of context.quick ? products.slice(0, quickProducts) : products) {
    yield await measureProduct(product, context);
  }
  const rows = context.quick ? [64] : [32, 8192];
  for (const m of rows) yield await measurePrecisions({ m, k: 768, n: 3072 }, context);
}

async function measureProduct(
  product: Product,
  { gpu, torch, isCuda, ceilings }: StageContext,
): Promise<GpuRow> {
  const { m, k, n, batch = 1, ta: transposeA = false, tb: transposeB = false } = product;
  const leading = batch === 1 ? [] : [batch];
  const shapes = {
    a: [...leading, ...(transposeA ? [k, m] : [m, k])],
    b: [...leading, ...(transposeB ? [n, k] : [k, n])],
  };
  // Positive numbers, so that each sum has a relative error bound.
  const values = { a: uniformValues(batch * m * k, 1), b: uniformValues(batch * k * n, 2) };
  using a = tensor(gpu, values.a, { shape: shapes.a });
  using b = tensor(gpu, values.b, { shape: shapes.b });
  const multiply = () => matmul(a, b, { transposeA, transposeB });
  using c = multiply();
  const found = await c.floats();
  const program = await torch?.prepare("matmul", {
    a: { shape: shapes.a, data: values.a },
    b: { shape: shapes.b, data: values.b },
  }, { transposeA, transposeB });
  const checks: Check[] = [{
    what: "relative error of 64 entries against float64",
    found: largestError(found, product, values),
    allowed: k * unitRoundoff,
  }];
  if (program) {
    const other = (await program.result()).get("c")!;
    let largest = other.length === found.length ? 0 : Infinity;
    for (let i = 0; i < found.length; i++) {
      largest = Math.max(largest, Math.abs(found[i]! - other[i]!) / other[i]!);
    }
    checks.push({
      what: "relative difference of all entries from PyTorch's",
      found: largest,
      allowed: 2 * k * unitRoundoff,
    });
  }
  const timed = await time([
    ours(gpu, () => multiply().dispose()),
    ...torchContenders(program, isCuda),
  ], { seconds: 1.5 });
  await program?.release();
  const flops = 2 * batch * m * k * n;
  const bytes = 4 * batch * (m * k + k * n + m * n);
  // Skinny products are bound by memory, the others by arithmetic: the larger share says how near to a bound they are.
  const isArithmetic = flops / ceilings.flopsPerSecond > bytes / ceilings.bytesPerSecond;
  return {
    name: nameOf(product),
    ...timed,
    flops,
    bytes,
    shares: isArithmetic
      ? flopShares(timed.milliseconds, flops, ceilings)
      : byteShares(timed.milliseconds, bytes, ceilings),
    checks,
    notes: [isArithmetic ? "of multiply-adds" : "of copies"],
  };
}

/** A linear layer whose weight is stored in f32, in half precision and in 8 bits. */
async function measurePrecisions(
  { m, k, n }: { m: number; k: number; n: number },
  { gpu, ceilings }: StageContext,
): Promise<GpuRow> {
  using x = tensor(gpu, uniformValues(m * k, 1), { shape: [m, k] });
  using weight = tensor(gpu, uniformValues(n * k, 2), { shape: [n, k] });
  const expected = await resultOf(x, weight);
  const contenders: Timed[] = [];
  const checks: Check[] = [];
  const stored: Tensor[] = [];
  for (const precision of ["f32", "f16", "int8"] as const) {
    const w = toPrecision(weight, precision);
    stored.push(w);
    contenders.push(ours(gpu, () => linear(x, { weight: w }).dispose(), precision));
    checks.push({
      what: `relative difference of ${precision} from f32`,
      found: relativeDifference(await resultOf(x, w), expected),
      // Half a unit in the last place of weights in [0, 1): 2^-11 of a value, or a 254th of the largest.
      allowed: { f32: 0, f16: 2 ** -11, int8: 1 / 127 }[precision],
    });
  }
  const timed = await time(contenders, { seconds: 1.5 });
  disposeAll(stored);
  const flops = 2 * m * k * n;
  return {
    name: `[${m}×${k}] by a frozen [${n}×${k}]ᵀ`,
    ...timed,
    flops,
    shares: flopShares(timed.milliseconds, flops, ceilings),
    checks,
    notes: ["of multiply-adds"],
  };
}

async function resultOf(x: Tensor, weight: Tensor): Promise<Float32Array> {
  using y = linear(x, { weight });
  return await y.floats();
}

function nameOf({ m, k, n, batch, ta, tb }: Product): string {
  if (m === k && k === n && batch === undefined) return `${m}³`;
  const a = ta ? `[${k}×${m}]ᵀ` : `[${m}×${k}]`;
  const b = tb ? `[${n}×${k}]ᵀ` : `[${k}×${n}]`;
  return `${batch === undefined ? "" : `${batch} × `}${a}·${b}`;
}

/** Largest relative error among entries spread over the result, by sums in float64. */
function largestError(
  c: ArrayLike<number>,
  { m, k, n, batch = 1, ta = false, tb = false }: Product,
  { a, b }: { readonly a: Float32Array; readonly b: Float32Array },
): number {
  const entries = 64;
  let largest = 0;
  for (let entry = 0; entry < entries; entry++) {
    const at = Math.floor((entry + 0.5) / entries * batch * m * n);
    const [z, i, j] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
    let expected = 0;
    for (let p = 0; p < k; p++) {
      expected += a[z * m * k + (ta ? p * m + i : i * k + p)]! * b[z * k * n + (tb ? j * k + p : p * n + j)]!;
    }
    largest = Math.max(largest, Math.abs(c[at]! - expected) / expected);
  }
  return largest;
}
