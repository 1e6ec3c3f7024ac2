import source from "../../shaders/accumulate.wgsl";
import { Kernel } from "../gpu/kernel.ts";
import { broadcastStrides, formatShape, sameShape, type Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { gemm } from "./matmul/gemm.ts";
import { checkOperands, launch } from "./launch.ts";
import { gatherView } from "./shape.ts";

const accumulateKernel = new Kernel({ name: "accumulate", source, bindings: ["read", "write"] });

/**
 * target += x, in place and outside the gradient graph.
 *
 * @throws {TypeError} when the shapes differ.
 */
export function accumulate(target: Tensor, x: Tensor): void {
  checkOperands("add up", [target, x]);
  if (!sameShape(target.shape, x.shape)) {
    throw new TypeError(
      `Cannot add ${formatShape(x.shape)} to ${formatShape(target.shape)}: expected the same`,
    );
  }
  launch(accumulateKernel, {
    tensors: [x, target],
    params: [target.size],
    threads: Math.ceil(target.size / 4),
  });
}

/**
 * Overwrites a tensor with another of the same type that broadcasts to it, in place and outside the gradient graph.
 *
 * @throws {TypeError} when shapes or types don't agree.
 */
export function assign(target: Tensor, source: Tensor): void {
  const { shape, dtype } = target;
  const missing = shape.length - source.ndim;
  const fits = missing >= 0 &&
    source.shape.every((extent, i) => extent === 1 || extent === shape[missing + i]);
  if (source.dtype !== dtype || !fits) {
    throw new TypeError(
      `Cannot assign ${source.dtype} ${formatShape(source.shape)} to ${dtype} ${
        formatShape(shape)
      }: expected one type, and a shape that broadcasts`,
    );
  }
  gatherView(source, { shape, strides: broadcastStrides(source.shape, shape) }, target);
}

/** A copy of a tensor with memory of its own, outside the gradient graph. */
export function clone(x: Tensor): Tensor {
  const copy = empty(x.gpu, x.shape, x.dtype);
  assign(copy, x);
  return copy;
}

/**
 * target += Σ_c weights[c]·x[c], in place, for x [C, ...]. The terms are added one by one in the order of c, starting
 * from the target, so that adding C members in several calls gives the bits of one call.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function addWeighted(target: Tensor, x: Tensor, weights: Tensor): void {
  checkOperands("add up", [target, x, weights]);
  const members = x.shape[0] ?? 0;
  const expected: Shape = [members, ...target.shape];
  if (!sameShape(x.shape, expected) || !sameShape(weights.shape, [members])) {
    throw new TypeError(
      `Cannot add ${formatShape(x.shape)} by weights ${formatShape(weights.shape)} to ${
        formatShape(target.shape)
      }: expected [C, ...] and [C]`,
    );
  }
  const n = target.size;
  gemm({
    a: { tensor: weights, row: members },
    b: { tensor: x, row: n },
    c: { tensor: target, row: n },
    m: 1,
    n,
    k: members,
    accumulate: true,
  });
}

/**
 * target += a·b, in place, for a [m, k], b [k, n]. The terms are added in the order of k, starting from the target.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function addMatmul(target: Tensor, a: Tensor, b: Tensor): void {
  checkOperands("add a product of", [target, a, b]);
  const [m, k] = a.shape as [number, number];
  const n = b.shape[1]!;
  if (!sameShape(b.shape, [k, n]) || !sameShape(target.shape, [m, n])) {
    throw new TypeError(
      `Cannot add ${formatShape(a.shape)} times ${formatShape(b.shape)} to ${
        formatShape(target.shape)
      }: expected [m, k], [k, n], [m, n]`,
    );
  }
  gemm({
    a: { tensor: a, row: k },
    b: { tensor: b, row: n },
    c: { tensor: target, row: n },
    m,
    n,
    k,
    accumulate: true,
  });
}
