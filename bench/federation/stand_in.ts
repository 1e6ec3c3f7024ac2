import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomKey, RandomStream } from "../../src/engine/mod.ts";
import { bertFamily, encodeSafetensors, randomParameters, type StoredTensor } from "../../src/models/mod.ts";
import type { Sources } from "./jobs.ts";

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const numClasses = 7;
const words = Array.from({ length: 30522 - special.length }, (_, i) => `w${i}`);

/** MiniLM's own. */
const config = {
  model_type: "bert",
  vocab_size: 30522,
  hidden_size: 384,
  num_hidden_layers: 6,
  num_attention_heads: 12,
  intermediate_size: 1536,
  hidden_act: "gelu",
  max_position_embeddings: 512,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
};

/**
 * Writes an encoder of random weights and MiniLM's shape, and random texts in the number and lengths of SNIPS: the work is the same,
 * what is learnt isn't.
 */
export async function writeStandIn(folder: string): Promise<Sources> {
  const at = (name: string) => join(folder, name);
  await mkdir(at("model"), { recursive: true });
  const shapes = bertFamily.parameterShapes(bertFamily.parseConfig(config), {
    pooler: true,
  });
  const stored = new Map<string, StoredTensor>();
  for (
    const [name, { shape, data }] of randomParameters(shapes, {
      seed: 0,
      name: "bert",
    })
  ) {
    stored.set(name, { dtype: "F32", shape, data });
  }
  await writeFile(
    at("model/model.safetensors"),
    encodeSafetensors(stored, { format: "pt" }),
  );
  await writeFile(at("model/config.json"), JSON.stringify(config));
  await writeFile(at("model/vocab.txt"), [...special, ...words].join("\n"));
  await writeFile(
    at("model/tokenizer_config.json"),
    JSON.stringify({ tokenizer_class: "BertTokenizer" }),
  );
  await writeFile(at("train.jsonl"), texts("train", 13784));
  await writeFile(at("test.jsonl"), texts("test", 700));
  return {
    model: at("model"),
    train: at("train.jsonl"),
    test: at("test.jsonl"),
  };
}

/** Texts of 4 to 17 words, as many of each class, whose words are a class's own three times in four. */
function texts(part: string, count: number): string {
  const stream = new RandomStream(randomKey(0, "texts", part));
  const below = (limit: number) => Math.floor(stream.uniform(24) * limit);
  const share = Math.floor(words.length / numClasses);
  return Array.from({ length: count }, (_, i) => {
    const own = i % numClasses;
    const length = 4 + below(14);
    const text = Array.from(
      { length },
      () => words[below(4) > 0 ? own * share + below(share) : below(words.length)],
    );
    return `${JSON.stringify({ text: text.join(" "), label: `class ${own}` })}\n`;
  }).join("");
}
