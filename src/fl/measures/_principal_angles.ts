/** Columns of a matrix on the host, all of one length. */
export type Columns = readonly Float64Array[];

/** What is left of a column beside the others, as a share of its length, above which it adds to their span. */
const independent = 1e-5;

/**
 * The principal angles between the spans of two sets of columns, in radians, ascending; as many as the smaller span has
 * dimensions, none where it has none (Björck & Golub, Math. Comp. 27, 1973). Small angles come from sines and large ones from
 * cosines, so all are found to about 1e-8.
 */
export function principalAngles(x: Columns, y: Columns): number[] {
  const [first, second] = [orthonormalBasis(x), orthonormalBasis(y)];
  const [large, small] = first.length >= second.length ? [first, second] : [second, first];
  const cosines = small.map((column) => Float64Array.from(large, (other) => dot(other, column)));
  const rests = small.map((column, j) => subtractAll(column, large, cosines[j]!));
  const ascending = (columns: Columns) =>
    symmetricEigenvalues(gram(columns)).map((value) => Math.sqrt(Math.min(1, Math.max(0, value)))).sort((
      a,
      b,
    ) => a - b);
  const cos = ascending(cosines).reverse();
  return ascending(rests).map((sin, i) => sin < Math.SQRT1_2 ? Math.asin(sin) : Math.acos(cos[i]!));
}

/** An orthonormal basis of the span, by Gram and Schmidt's method twice over, the longest column that is left first. */
function orthonormalBasis(columns: Columns): Float64Array[] {
  const basis: Float64Array[] = [];
  const left: Float64Array[] = columns.map((column) => ({ column, length: norm(column) }))
    .filter(({ length }) => length > 0)
    .map(({ column, length }) => column.map((value) => value / length));
  while (left.length > 0) {
    const lengths = left.map(norm);
    const longest = lengths.indexOf(Math.max(...lengths));
    if (lengths[longest]! <= independent) break;
    let column = left.splice(longest, 1)[0]!;
    for (let pass = 0; pass < 2; pass++) {
      column = subtractAll(column, basis, basis.map((each) => dot(each, column)));
      const length = norm(column);
      column = column.map((value) => value / length);
    }
    basis.push(column);
    left.forEach((each, i) => left[i] = subtractAll(each, [column], [dot(column, each)]));
  }
  return basis;
}

/** Eigenvalues of a symmetric matrix by cyclic Jacobi rotations (Golub & Van Loan 8.5), which overwrite it. */
function symmetricEigenvalues(a: Float64Array[]): number[] {
  const n = a.length;
  for (let sweep = 0; sweep < 30; sweep++) {
    let rotated = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = a[p]![q]!;
        if (Math.abs(off) <= 1e-17) continue;
        rotated = true;
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(1, theta));
        const c = 1 / Math.hypot(1, t);
        rotate(a, p, q, c, c * t);
      }
    }
    if (!rotated) break;
  }
  return a.map((row, i) => row[i]!);
}

function rotate(a: Float64Array[], p: number, q: number, c: number, s: number): void {
  for (const row of a) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
  const [first, second] = [a[p]!, a[q]!];
  for (let k = 0; k < a.length; k++) {
    [first[k], second[k]] = [c * first[k]! - s * second[k]!, s * first[k]! + c * second[k]!];
  }
}

function gram(columns: Columns): Float64Array[] {
  return columns.map((x) => Float64Array.from(columns, (y) => dot(x, y)));
}

function subtractAll(x: Float64Array, columns: Columns, factors: ArrayLike<number>): Float64Array {
  const result = x.slice();
  columns.forEach((column, j) => {
    const factor = factors[j]!;
    for (let i = 0; i < result.length; i++) result[i]! -= factor * column[i]!;
  });
  return result;
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

function norm(x: Float64Array): number {
  return Math.sqrt(dot(x, x));
}
