import { writeStreamAtomic } from "../../data/files/write_file.ts";
import { bytesOf, layOut } from "./_safetensors_layout.ts";
import type { StoredTensor } from "./dtype.ts";
import type { WeightSource } from "./weight_source.ts";

/** A list of tensors, and a way to read them one at a time. Every {@linkcode WeightSource} is one. */
export type TensorProducer = Pick<WeightSource, "entries" | "read">;

/** Options of {@linkcode writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** Free-form notes of the file; transformers wants `{ format: "pt" }`. None by default. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called after each tensor with the bytes of tensor data that are written, and those of all tensors. */
  readonly onProgress?: (bytes: number, total: number) => void;
  /** Ends the writing between two tensors, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Writes a safetensors file one tensor at a time, whole or not at all (Node only): names, dtypes and shapes come
 * first, as the header stands in front, then `read` is called once for each tensor, in the order of the file. The
 * bytes are those of {@linkcode encodeSafetensors}; memory is that of one tensor.
 *
 * @param source a tensor that `read` gives must have the dtype and shape that `entries` says.
 * @throws {TypeError} if a dtype is unknown, or data disagree with dtype or shape, or a name is reserved.
 * @throws {RangeError} if the header would exceed 100 MB.
 * @throws {Error} naming the path, if it cannot be written.
 * @throws what `read` throws; nothing is left behind then.
 *
 * @example
 * ```ts no-run
 * const weights = await openWeights(files);
 * await writeSafetensors("copy/model.safetensors", weights, { metadata: { format: "pt" } });
 * ```
 */
export async function writeSafetensors(
  path: string,
  source: TensorProducer,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const { metadata = {}, onProgress, signal } = options;
  const { head, order, dataLength } = layOut(source.entries, metadata);
  await writeStreamAtomic(path, async (append) => {
    await append(head);
    let written = 0;
    for (const name of order) {
      signal?.throwIfAborted();
      const bytes = checkedBytes(name, await source.read(name), source);
      await append(bytes);
      written += bytes.length;
      onProgress?.(written, dataLength);
    }
  });
}

function checkedBytes(name: string, tensor: StoredTensor, source: TensorProducer): Uint8Array {
  const { dtype, shape } = source.entries.get(name)!;
  if (tensor.dtype !== dtype || tensor.shape.join() !== shape.join()) {
    throw new TypeError(
      `Cannot write tensor ${JSON.stringify(name)}: it was announced as ${dtype} [${shape.join(", ")}], ` +
        `got ${tensor.dtype} [${tensor.shape.join(", ")}]`,
    );
  }
  return bytesOf(name, tensor);
}
