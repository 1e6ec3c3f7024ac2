/** What holds weights, by the end of its name. */
const WEIGHTS = /\.(?:safetensors|bin|pt|pth|ckpt|onnx|onnx_data|h5|msgpack|gguf|ot|npz)$/i;

const MEBIBYTE = 2 ** 20;

/**
 * Most bytes that are taken of a file of a model, whatever the hub says of its size or if it says nothing: 64 GiB of
 * weights, 64 MiB of JSON (more is never read), 1 GiB of anything else, such as a vocabulary.
 */
export function longestFile(name: string): number {
  if (WEIGHTS.test(name)) return 65_536 * MEBIBYTE;
  return name.endsWith(".json") ? 64 * MEBIBYTE : 1024 * MEBIBYTE;
}
