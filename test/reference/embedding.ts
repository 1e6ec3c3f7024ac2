import { F64Array, scatterAdd, take } from "./array.ts";

/** Rows of a table. Shared: weight [V, D], any ids. Per client: weight [C, V, D], ids [C, ...]. Result [...ids, D]. */
export function embedding(weight: F64Array, ids: F64Array): F64Array {
  return take(weight, [...ids.shape, weight.shape.at(-1)!], rowSource(weight.shape, ids));
}

/** Gradient of the table under {@link embedding}; a row that is used twice gets both gradients. */
export function embeddingGradient(weight: F64Array, ids: F64Array, dy: F64Array): F64Array {
  return scatterAdd(dy, weight.shape, rowSource(weight.shape, ids));
}

function rowSource(weightShape: readonly number[], ids: F64Array): Int32Array {
  const [rows, width] = [weightShape.at(-2)!, weightShape.at(-1)!];
  const idsPerClient = ids.size / (weightShape.length === 3 ? weightShape[0]! : 1);
  const source = new Int32Array(ids.size * width);
  ids.data.forEach((id, i) => {
    if (id < 0 || id >= rows) {
      throw new RangeError(`Cannot look up row ${id} of an embedding of ${rows} rows`);
    }
    const row = Math.floor(i / idsPerClient) * rows + id;
    for (let d = 0; d < width; d++) source[i * width + d] = row * width + d;
  });
  return source;
}
