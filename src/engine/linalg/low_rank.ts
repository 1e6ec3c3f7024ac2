import { ones } from "../ops/create.ts";
import { abs, div, mul, sqrt } from "../ops/elementwise.ts";
import { checkOperands } from "../ops/launch.ts";
import { matmul } from "../ops/matmul/matmul.ts";
import { max, sum, sumOfSquares } from "../ops/reduction/reduce.ts";
import { where } from "../ops/select.ts";
import { concat, permute, reshape, transpose } from "../ops/shape.ts";
import { formatShape, sameShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { ordinaryQr, triangularize } from "./qr.ts";

/** A matrix b·a [m, n] that is held as its factors and never formed, or a batch of them. */
export interface LowRankProduct {
  /** [m, k] or [N, m, k]. */
  readonly b: Tensor;
  /** [k, n] or [N, k, n]. */
  readonly a: Tensor;
}

/** Extents of a {@linkcode LowRankProduct}. */
export interface ProductExtents {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  /** Terms: columns of b and rows of a. */
  readonly k: number;
  /** The axes before the last two. */
  readonly leading: Shape;
}

/**
 * Reads the extents of a product.
 *
 * @throws {TypeError} unless the factors are f32, [m, k] and [k, n] or [N, m, k] and [N, k, n], none of the extents 0.
 */
export function productExtents(operation: string, { b, a }: LowRankProduct): ProductExtents {
  checkOperands(operation, [b, a]);
  const leading = b.shape.slice(0, -2);
  const [m = 0, k = 0] = b.shape.slice(-2);
  const n = a.shape.at(-1) ?? 0;
  const fits = leading.length <= 1 && sameShape(a.shape, [...leading, k, n]) && b.size > 0 && a.size > 0;
  if (!fits) {
    throw new TypeError(
      `Cannot ${operation} a product of ${formatShape(b.shape)} and ${
        formatShape(a.shape)
      }: expected [m, k] and [k, n], or [N, m, k] and [N, k, n], none of them 0`,
    );
  }
  return { batch: leading[0] ?? 1, m, n, k, leading };
}

/**
 * The sum of products of one shape, b₁·a₁ + b₂·a₂ + … = [b₁ b₂ …]·[a₁; a₂; …], as one product of k₁ + k₂ + … terms. It is exact.
 *
 * @throws {TypeError} when the outer extents differ.
 * @example
 * ```ts
 * import { addProducts, matmul, openGpu, tensor } from "federa/engine";
 *
 * using gpu = await openGpu();
 * const outer = (b: number[], a: number[]) =>
 *   ({ b: tensor(gpu, b, { shape: [2, 1] }), a: tensor(gpu, a, { shape: [1, 2] }) });
 * const { b, a } = addProducts([outer([1, 0], [1, 2]), outer([0, 1], [3, 4])]);
 * console.log(await matmul(b, a).data()); // 1, 2, 3, 4
 * ```
 */
export function addProducts(products: readonly LowRankProduct[]): LowRankProduct {
  for (const each of products) productExtents("add", each);
  return {
    b: concat(products.map(({ b }) => b), { axis: -1 }),
    a: concat(products.map(({ a }) => a), { axis: -2 }),
  };
}

/**
 * The weighted sum of a batch of products, Σ_c w_c·b_c·a_c for b [N, m, k], a [N, k, n] and weights [N], as one product of N·k
 * terms in the order of the batch. The weights go into b.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function sumBatch(product: LowRankProduct, weights: Tensor): LowRankProduct {
  const { batch, m, n, k, leading } = productExtents("sum", product);
  if (leading.length !== 1 || !sameShape(weights.shape, [batch])) {
    throw new TypeError(
      `Cannot sum products ${formatShape(product.b.shape)} by weights ${
        formatShape(weights.shape)
      }: expected [N, m, k] and [N]`,
    );
  }
  return tidy(() => ({
    b: reshape(permute(mul(product.b, reshape(weights, [batch, 1, 1])), [1, 0, 2]), [m, batch * k]),
    a: reshape(product.a, [batch * k, n]),
  }));
}

/** A product whose terms are split into directions and sizes: b·a = scale·left·diag(sizes)·right. */
interface NormalizedProduct {
  /** Columns whose largest |element| is 1, or that are 0; [N, m, k]. */
  readonly left: Tensor;
  /** Rows whose largest |element| is 1, or that are 0; [N, k, n]. */
  readonly right: Tensor;
  /** From 0 to 1, [N, 1, k]. */
  readonly sizes: Tensor;
  /** The largest term's size, [N, 1, 1]. */
  readonly scale: Tensor;
}

/** Splits the terms of a product so that no square overflows or vanishes, whatever their lengths are. */
function normalize({ b, a }: LowRankProduct, { batch, m, n, k }: ProductExtents): NormalizedProduct {
  const [left, right] = [reshape(b.detach(), [batch, m, k]), reshape(a.detach(), [batch, k, n])];
  const [ofLeft, ofRight] = [largest(left, -2), largest(right, -1)];
  const terms = mul(ofLeft, reshape(ofRight, [batch, 1, k]));
  const scale = largest(terms, -1);
  return {
    left: div(left, orOne(ofLeft)),
    right: div(right, orOne(ofRight)),
    sizes: div(terms, orOne(scale)),
    scale,
  };
}

function largest(x: Tensor, axis: number): Tensor {
  return max(abs(x), { axes: [axis], keepDims: true });
}

/** x, and 1 where it's 0. */
function orOne(x: Tensor): Tensor {
  return where(x, { then: x, otherwise: ones(x.gpu, [1]) });
}

/** A product as q·core·pᵀ·scale with orthonormal q and p. */
export interface ReducedProduct {
  /** [N, m, min(m, k)]; null for the identity. */
  readonly q: Tensor | null;
  /** [N, n, min(n, k)]; null for the identity. */
  readonly p: Tensor | null;
  /** [N, min(m, k), min(n, k)]; its elements are at most k·√(m·n). */
  readonly core: Tensor;
  /** [N, 1, 1]. */
  readonly scale: Tensor;
}

/**
 * Reduces a product by the QR decompositions of b and aᵀ, where they are narrower than long, to a core no larger than k × k or
 * m × n. Recorded without a wait; the elements must be finite. Each column is factored to its own precision, so the error is
 * within a small multiple of √k·2⁻²⁴·Σⱼ ‖bⱼ‖·‖aⱼ‖.
 */
export function reduceProduct(product: LowRankProduct): ReducedProduct {
  const extents = productExtents("reduce", product);
  const { m, n, k } = extents;
  return tidy(() => {
    const { left, right, sizes, scale } = normalize(product, extents);
    const whole = (r: Tensor) => ({ q: null, r });
    const first = k < m ? ordinaryQr(left) : whole(left);
    const second = k < n ? ordinaryQr(transpose(right)) : whole(transpose(right));
    return { q: first.q, p: second.q, core: coreOf(first.r, second.r, sizes), scale };
  });
}

function coreOf(first: Tensor, second: Tensor, sizes: Tensor): Tensor {
  return matmul(mul(first, sizes), second, { transposeB: true });
}

/**
 * Frobenius norms ‖b·a‖ of a product or a batch of them, [] or [N], without forming any. Recorded without a wait.
 *
 * They come from the triangular factors of b and aᵀ, so the error is within a small multiple of √k·2⁻²⁴·Σⱼ ‖bⱼ‖·‖aⱼ‖ also where
 * the terms nearly cancel; the Gram matrices of {@linkcode innerProduct} would lose half of the digits there.
 *
 * @throws {TypeError} as {@linkcode addProducts}.
 */
export function productNorm(product: LowRankProduct): Tensor {
  const extents = productExtents("measure", product);
  const { m, n, k, leading } = extents;
  return tidy(() => {
    const { left, right, sizes, scale } = normalize(product, extents);
    const core = coreOf(
      k < m ? triangularize(left) : left,
      k < n ? triangularize(transpose(right)) : transpose(right),
      sizes,
    );
    const peak = largest(largest(core, -1), -2);
    const norm = sqrt(sumOfSquares(div(core, orOne(peak)), { axes: [-1, -2], keepDims: true }));
    return reshape(mul(mul(norm, peak), scale), leading);
  });
}

/**
 * Inner products ⟨x, y⟩ = tr(xᵀ·y) of products of one shape, [] or [N], from the k × k matrices xbᵀ·yb and xa·yaᵀ. Recorded
 * without a wait. The error is within about √(m + n)·2⁻²⁴·Σᵢⱼ ‖xbᵢ‖·‖ybⱼ‖·‖xaᵢ‖·‖yaⱼ‖: use {@linkcode productNorm} for norms.
 *
 * @throws {TypeError} when the outer extents differ.
 */
export function innerProduct(x: LowRankProduct, y: LowRankProduct): Tensor {
  const [first, second] = [productExtents("measure", x), productExtents("measure", y)];
  if (first.m !== second.m || first.n !== second.n || !sameShape(first.leading, second.leading)) {
    throw new TypeError(
      `Cannot take the inner product of ${formatShape([...first.leading, first.m, first.n])} and ${
        formatShape([...second.leading, second.m, second.n])
      }: expected one shape`,
    );
  }
  return tidy(() =>
    sum(mul(matmul(x.b, y.b, { transposeA: true }), matmul(x.a, y.a, { transposeB: true })), {
      axes: [-1, -2],
    })
      .detach()
  );
}
