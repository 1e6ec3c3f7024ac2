import {
  abs,
  add,
  div,
  jacobiSvd,
  matmul,
  max,
  mul,
  ones,
  slice,
  type Tensor,
  tensor,
  tidy,
  where,
} from "../../../../engine/mod.ts";
import { Held } from "../../../held.ts";

/**
 * Share of the identity that is added to a matrix, of its largest element: directions that it says nothing of, or no more than rounding,
 * then stay where they are. It turns the others by no more than some 10⁻⁶ of the ratio of their singular values to the largest.
 */
const still = 2 ** -20;

/**
 * The rotation R of each matrix M [N, r, r] that maximises tr(Rᵀ·M), so that ‖R − M‖_F is least among matrices with RᵀR = 1 and
 * det R = 1 (the orthogonal Procrustes problem; Kabsch, Acta Cryst. A32, 1976): with M = U·S·Vᵀ it's U·diag(1, …, 1, det(U·Vᵀ))·Vᵀ. It is the
 * identity where M is zero. The caller disposes it.
 */
export async function nearestRotation(matrices: Tensor): Promise<Tensor> {
  using held = new Held();
  const { gpu, shape } = matrices;
  const [count, rank] = shape as [number, number, number];
  const scaled = held.hold(tidy(() => {
    const size = max(abs(matrices), { axes: [-1, -2], keepDims: true });
    const scaled = div(matrices, where(size, { then: size, otherwise: ones(gpu, [1]) }));
    return add(scaled, tensor(gpu, identity(rank, still), { shape: [rank, rank] }));
  }));
  const { u, vt } = held.hold(await jacobiSvd(scaled));
  const orthogonal = held.hold(tidy(() => matmul(u, vt)));
  const elements = await orthogonal.floats();
  const flips = Float32Array.from(
    { length: count },
    (_, i) => isReflection(elements.subarray(i * rank ** 2, (i + 1) * rank ** 2), rank) ? -2 : 0,
  );
  return tidy(() => {
    const flip = tensor(gpu, flips, { shape: [count, 1, 1] });
    const last = { start: rank - 1, end: rank };
    const left = mul(slice(u, { axis: -1, ...last }), flip);
    return add(orthogonal, matmul(left, slice(vt, { axis: -2, ...last })));
  });
}

/** (1 − λ)·1 + λ·R of rotations [N, r, r], as rotations again. The caller disposes them. */
export async function partRotation(rotations: Tensor, lambda: number): Promise<Tensor> {
  const { gpu, shape } = rotations;
  const rank = shape.at(-1)!;
  using between = tidy(() =>
    add(mul(rotations, lambda), tensor(gpu, identity(rank, 1 - lambda), { shape: [rank, rank] }))
  );
  return await nearestRotation(between);
}

function identity(rank: number, value: number): Float32Array {
  return Float32Array.from({ length: rank ** 2 }, (_, i) => i % (rank + 1) === 0 ? value : 0);
}

/** Whether the determinant of an orthogonal matrix is −1, by elimination with pivots (Golub & Van Loan 3.4). */
function isReflection(matrix: Float32Array, rank: number): boolean {
  const rows = Array.from(
    { length: rank },
    (_, i) => Float64Array.from(matrix.subarray(i * rank, (i + 1) * rank)),
  );
  let isNegative = false;
  for (let column = 0; column < rank; column++) {
    let pivot = column;
    for (let i = column; i < rank; i++) {
      if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    }
    if (pivot !== column) {
      [rows[pivot], rows[column]] = [rows[column]!, rows[pivot]!];
      isNegative = !isNegative;
    }
    const own = rows[column]!;
    if (own[column]! < 0) isNegative = !isNegative;
    for (let i = column + 1; i < rank; i++) {
      const factor = rows[i]![column]! / own[column]!;
      for (let j = column; j < rank; j++) rows[i]![j]! -= factor * own[j]!;
    }
  }
  return isNegative;
}
