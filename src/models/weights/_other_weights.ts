import type { ModelFiles } from "../../hub/files/model_files.ts";
import { WeightsUnavailableError } from "../errors.ts";

/** Weight files that aren't read, by what they are. */
const OTHERS = {
  pickle: ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin", "adapter_model.bin"],
  adapter: ["adapter_model.safetensors"],
  foreign: [
    "tf_model.h5",
    "tf_model.h5.index.json",
    "flax_model.msgpack",
    "flax_model.msgpack.index.json",
    "model.gguf",
    "model.onnx",
    "onnx/model.onnx",
  ],
} as const;

/** The error for a model without weights that can be read: what it has instead, and what to do about it. */
export async function refuseOtherWeights(files: ModelFiles): Promise<WeightsUnavailableError> {
  const { source } = files;
  for (const [kind, names] of Object.entries(OTHERS) as [keyof typeof OTHERS, readonly string[]][]) {
    for (const name of names) {
      if (await files.has(name)) {
        return new WeightsUnavailableError(
          `Cannot read the weights of ${source}: there is no model.safetensors, only ${
            advice[kind](name, source)
          }`,
        );
      }
    }
  }
  return new WeightsUnavailableError(
    `Cannot read the weights of ${source}: it has neither model.safetensors nor model.safetensors.index.json`,
  );
}

const advice: Readonly<Record<keyof typeof OTHERS, (name: string, source: string) => string>> = {
  pickle: (name) =>
    `${name}, a Python pickle, which can run any code when it is opened; if the file is from a source you trust, ` +
    `convert it with Python (pip install torch safetensors numpy), in its folder, and keep the new file beside it:\n` +
    pickleLines(name),
  adapter: (name) => `${name}, an adapter; name the folder of the model that it is for instead`,
  foreign: (name, source) =>
    `${name}, which isn't read; choose a revision that has model.safetensors, or convert it with Python ` +
    `(pip install transformers and the framework of the file) by loading ${source} as a transformers model and calling ` +
    `save_pretrained("converted")`,
};

/** Python that rewrites a pickle, or the shards of one, as safetensors. Tensors that share memory are parted. */
function pickleLines(name: string): string {
  const parts = name.endsWith(".index.json")
    ? `sorted(set(json.load(open("${name}"))["weight_map"].values()))`
    : `["${name}"]`;
  return [
    "  import json, torch",
    "  from safetensors.torch import save_file",
    "  weights = {}",
    `  for part in ${parts}:`,
    `      weights.update(torch.load(part, map_location="cpu", weights_only=True))`,
    "  weights = {name: value.clone().contiguous() for name, value in weights.items()}",
    `  save_file(weights, "model.safetensors", metadata={"format": "pt"})`,
  ].join("\n");
}
