import { record } from "../autograd.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { gemm } from "./_gemm.ts";
import { checkOperands } from "./launch.ts";
import { sum } from "./reduce.ts";
import { reshape } from "./shape.ts";

/** Parameters of {@linkcode linear}. */
export interface LinearOptions {
  /** [out, in], or [C, out, in] with one matrix for each entry of the first axis of x. */
  readonly weight: Tensor;
  /** [out] or [C, out]; none by default. */
  readonly bias?: Tensor | undefined;
}

/**
 * y = x·Wᵀ + b over the last axis. A weight or bias with a leading member axis C is used member by member on x
 * [C, ..., in]; one without is shared, and a shared weight sees all rows of all members as one matrix.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function linear(x: Tensor, options: LinearOptions): Tensor {
  const { weight, bias } = options;
  checkOperands("apply a linear layer to", bias ? [x, weight, bias] : [x, weight]);
  const [n, k] = weight.shape.slice(-2) as [number, number];
  const members = weight.rank === 3 ? weight.shape[0]! : bias?.rank === 2 ? bias.shape[0]! : 1;
  const fits = x.rank >= 1 && x.shape.at(-1) === k && (weight.rank === 2 || weight.rank === 3) &&
    (members === 1 || x.shape[0] === members) &&
    (bias === undefined ||
      (bias.shape.at(-1) === n && (bias.rank === 1 || (bias.rank === 2 && bias.shape[0] === members))));
  if (!fits) {
    throw new TypeError(
      `Cannot apply a linear layer of weight ${formatShape(weight.shape)}${
        bias ? ` and bias ${formatShape(bias.shape)}` : ""
      } to ` +
        `${
          formatShape(x.shape)
        }: expected x [..., in], weight [out, in] or [C, out, in], bias [out] or [C, out]`,
    );
  }
  const m = sizeOf(x.shape.slice(0, -1)) / members;
  const batch = [members, 1] as const;
  const weightStride = weight.rank === 3 ? n * k : 0;
  const y = empty(x.gpu, [...x.shape.slice(0, -1), n]);
  const view = (tensor: Tensor, width: number) => ({ tensor, row: width, outer: m * width });
  gemm({
    a: view(x, k),
    b: { tensor: weight, row: k, outer: weightStride },
    c: view(y, n),
    m,
    n,
    k,
    batch,
    transposeB: true,
    ...(bias && { bias: { tensor: bias, outer: bias.rank === 2 ? n : 0 } }),
  });
  return record(y, bias ? [x, weight, bias] : [x, weight], [
    (dy) => {
      const dx = empty(x.gpu, x.shape);
      const shared = weight.rank === 2;
      const rows = shared ? m * members : m;
      gemm({
        a: { tensor: dy, row: n, outer: rows * n },
        b: { tensor: weight, row: k, outer: weightStride },
        c: { tensor: dx, row: k, outer: rows * k },
        m: rows,
        n: k,
        k: n,
        batch: [shared ? 1 : members, 1],
      });
      return dx;
    },
    (dy) => {
      const dw = empty(x.gpu, weight.shape);
      const rows = weight.rank === 3 ? m : m * members;
      gemm({
        a: { tensor: dy, row: n, outer: rows * n },
        b: { tensor: x, row: k, outer: rows * k },
        c: { tensor: dw, row: k, outer: n * k },
        m: n,
        n: k,
        k: rows,
        batch: [weight.rank === 3 ? members : 1, 1],
        transposeA: true,
      });
      return dw;
    },
    (dy) => {
      const groups = bias!.rank === 2 ? members : 1;
      return reshape(sum(reshape(dy, [groups, -1, n]), { axes: [1] }), bias!.shape);
    },
  ]);
}
