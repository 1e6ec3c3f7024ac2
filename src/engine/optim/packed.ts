import type { Gpu } from "../gpu/device.ts";
import { fill } from "../ops/create.ts";
import { assign } from "../ops/update.ts";
import { type Shape, sizeOf } from "../shape.ts";
import { empty, type Storage, Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";

/**
 * Tensors of several shapes side by side in one storage, with undefined contents; in several storages only if the adapter
 * can't bind so much at once. Each is an ordinary tensor. One launch of a kernel can read or write all of them: for
 * gradients use `backward(loss, parameters, { into: emptyPacked(gpu, shapes) })`.
 *
 * @throws {OutOfMemoryError} when one of them is over the adapter's binding limit.
 */
export function emptyPacked(gpu: Gpu, shapes: readonly Shape[]): Tensor[] {
  const [align, limit] = [gpu.bindingAlignment / 4, Math.floor(gpu.maxBindingBytes / 4)];
  const result: Tensor[] = [];
  for (let first = 0; first < shapes.length;) {
    const offsets = [0];
    let end = sizeOf(shapes[first]!);
    let next = first + 1;
    for (; next < shapes.length; next++) {
      const offset = Math.ceil(end / align) * align;
      if (offset + sizeOf(shapes[next]!) > limit) break;
      offsets.push(offset);
      end = offset + sizeOf(shapes[next]!);
    }
    const whole = empty(gpu, [end]);
    offsets.forEach((offset, i) => {
      result.push(new Tensor(gpu, whole.storage, { shape: shapes[first + i]!, dtype: "f32", offset }));
    });
    whole.dispose();
    first = next;
  }
  return result;
}

/** As {@linkcode emptyPacked}, filled with zeros, the gaps between the tensors too. */
export function zerosPacked(gpu: Gpu, shapes: readonly Shape[]): Tensor[] {
  const result = emptyPacked(gpu, shapes);
  tidy(() => {
    for (const storage of new Set(result.map((each) => each.storage))) fill(wholeOf(gpu, storage), 0);
  });
  return result;
}

/**
 * Copies tensors side by side into one storage, as {@linkcode emptyPacked} arranges them.
 *
 * @example
 * ```ts no-run
 * const parameters = pack([w, b]).map((each) => each.requireGrad());
 * const optimizer = new AdamW(parameters); // one launch a step
 * ```
 */
export function pack(tensors: readonly Tensor[]): Tensor[] {
  if (tensors.length === 0) return [];
  const result = emptyPacked(tensors[0]!.gpu, tensors.map((each) => each.shape));
  tensors.forEach((each, i) => assign(result[i]!, each));
  return result;
}

/** All elements of a storage as one tensor. */
export function wholeOf(gpu: Gpu, storage: Storage): Tensor {
  return new Tensor(gpu, storage, { shape: [storage.buffer.bytes / 4], dtype: "f32" });
}
