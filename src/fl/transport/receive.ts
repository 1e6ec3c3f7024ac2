import { add, type Gpu, reshape, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import { readSafetensors } from "../../models/weights/safetensors.ts";
import type { Shapes, Tensors } from "../tensors.ts";
import type { Codec } from "./codec.ts";
import { fitTo } from "./fit.ts";

/** Options of {@linkcode receiveUpload}. */
export interface ReceiveOptions {
  readonly gpu: Gpu;
  readonly codec: Codec;
  /** Values that both sides know, [...]: of these names a lossy codec has sent the change. */
  readonly start: Tensors;
  /** What the client was asked for, by its own rank; give this for payloads of strangers. */
  readonly expected?: Shapes | undefined;
}

/**
 * What the server has of a client's payload, [1, ...] by name: the values that one process has without making the bytes, bit for
 * bit. Factors of a lower rank are filled up with zeros. The caller disposes the tensors.
 *
 * @throws {CorruptFileError} when the payload is broken, or holds something else than was expected.
 */
export function receiveUpload(
  payload: Uint8Array,
  { gpu, codec, start, expected }: ReceiveOptions,
): Map<string, Tensor> {
  const decoded = codec.decode(readSafetensors(payload), expected && { expected });
  return tidy(() =>
    new Map([...decoded].map(([name, value]) => {
      const x = start.get(name);
      const { shape, data } = x === undefined ? value : fitTo(x.shape, value);
      const sent = tensor(gpu, data, { shape: [1, ...shape] });
      return [name, x === undefined || codec.lossless ? sent : add(sent, reshape(x, [1, ...shape]))];
    }))
  );
}
