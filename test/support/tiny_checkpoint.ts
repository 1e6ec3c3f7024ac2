import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bertFamily, encodeSafetensors } from "../../src/models/mod.ts";
import { drawParameters } from "./bert.ts";

const words = "win a free prize number minutes of meeting ada paul lives in paris london who ? where".split(
  " ",
);
const digits = Array.from({ length: 10 }, (_, i) => [`${i}`, `##${i}`]).flat();
const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ...words, ...digits];
const id = (token: string) => vocabulary.indexOf(token);

/** A checkpoint of BERT with two layers of a few dimensions, and a WordPiece tokenizer of some thirty tokens, in a folder. */
export async function writeTinyCheckpoint(
  folder: string,
  options: { readonly seed: number; readonly maxTokens?: number; readonly hiddenSize?: number },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { hiddenSize = 12 } = options;
  const config = {
    model_type: "bert",
    vocab_size: vocabulary.length,
    hidden_size: hiddenSize,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    intermediate_size: options.hiddenSize === undefined ? 20 : 4 * hiddenSize,
    max_position_embeddings: options.maxTokens ?? 32,
  };
  const shapes = bertFamily.parameterShapes(bertFamily.parseConfig(config), { pooler: true });
  const stored = new Map(
    [...drawParameters(shapes, options)].map((
      [name, { shape, data }],
    ) => [name, { dtype: "F32", shape, data } as const]),
  );
  const write = (name: string, content: Uint8Array | object) =>
    writeFile(
      join(folder, name),
      content instanceof Uint8Array ? content : JSON.stringify(content),
    );
  await write("config.json", config);
  await write("model.safetensors", encodeSafetensors(stored));
  await write("tokenizer.json", tokenizer);
}

const special = (content: string) => ({
  id: id(content),
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
const token = (name: string, type: number) => ({ SpecialToken: { id: name, type_id: type } });
const part = (name: string, type: number) => ({ Sequence: { id: name, type_id: type } });

const tokenizer = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(special),
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: {
    type: "TemplateProcessing",
    single: [token("[CLS]", 0), part("A", 0), token("[SEP]", 0)],
    pair: [token("[CLS]", 0), part("A", 0), token("[SEP]", 0), part("B", 1), token("[SEP]", 1)],
    special_tokens: Object.fromEntries(
      ["[CLS]", "[SEP]"].map((name) => [name, { id: name, ids: [id(name)], tokens: [name] }]),
    ),
  },
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(vocabulary.map((name, i) => [name, i])),
  },
};
