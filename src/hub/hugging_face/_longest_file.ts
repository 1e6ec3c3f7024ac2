/** Extensions of files with weights. */
const WEIGHTS = /\.(?:safetensors|bin|pt|pth|ckpt|onnx|onnx_data|h5|msgpack|gguf|ot|npz)$/i;

const MEBIBYTE = 2 ** 20;

/**
 * Most bytes that a file of a model may have, whether or not the hub states its size: 64 GiB of weights, 64 MiB of JSON (more
 * is never read), 1 GiB of anything else, such as a vocabulary.
 */
export function longestFile(name: string): number {
  if (WEIGHTS.test(name)) return 65_536 * MEBIBYTE;
  return name.endsWith(".json") ? 64 * MEBIBYTE : 1024 * MEBIBYTE;
}
