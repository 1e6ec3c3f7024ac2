import type { ModelFiles } from "../../hub/files/model_files.ts";
import { readModelFile } from "../../hub/files/read_model_file.ts";
import { fromBertVocabulary } from "./checkpoint/bert_vocabulary.ts";
import { asConfig, type Config, refuse } from "./read_config.ts";
import { SAVE_FILE, tokenizerScheme } from "./checkpoint/tokenizer_class.ts";
import { TokenizerError } from "./errors.ts";
import { HfTokenizer } from "./hf_tokenizer.ts";

/** Options of {@linkcode loadTokenizer}. */
export interface LoadTokenizerOptions {
  /** Tokens that the model reads at most, if that is fewer than its files say. */
  readonly maxLength?: number;
  /** Called with what the user should know about the files, such as steps of tokenizer.json that its class doesn't use. */
  readonly onNotice?: (message: string) => void;
}

/** Vocabularies that tokenizer.json is made from. */
const OTHER_FILES = ["spm.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "merges.txt"];
/** More than any published vocabulary takes. */
const MAX_BYTES = 1 << 27;

interface VocabularySettings {
  readonly config: Config;
  readonly model: Config | undefined;
}

/**
 * The tokenizer of a Hugging Face checkpoint, from its `tokenizer.json`, or `vocab.txt` for BERT's, with what
 * `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and the model's `config.json` say where they are
 * present: ids are those that `AutoTokenizer` of transformers 5 gives.
 *
 * @throws {TokenizerError} if files are missing, contradict themselves, or ask for what isn't supported.
 * @throws {RangeError} if `maxLength` is not a positive integer.
 * @example
 * ```ts no-run
 * const tokenizer = await loadTokenizer(files, { maxLength: 512 });
 * ```
 */
export async function loadTokenizer(
  files: ModelFiles,
  options: LoadTokenizerOptions = {},
): Promise<HfTokenizer> {
  try {
    const settings = {
      config: await readJson(files, "tokenizer_config.json") ?? {},
      specialTokensMap: await readJson(files, "special_tokens_map.json"),
      addedTokens: await readJson(files, "added_tokens.json"),
      model: await readJson(files, "config.json"),
    };
    const file = await readJson(files, "tokenizer.json");
    return new HfTokenizer(file ?? await readBertVocabulary(files, settings), {
      ...options,
      ...settings,
      hasFile: file !== undefined,
    });
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    throw new TokenizerError(`${error.message}, in ${files.source}`, { cause: error });
  }
}

async function readBertVocabulary(files: ModelFiles, { config, model }: VocabularySettings): Promise<Config> {
  // An unsupported class is the reason to report, whatever files there are.
  tokenizerScheme({ settings: config, model: model ?? {}, hasFile: true });
  const text = await readText(files, "vocab.txt");
  if (text !== undefined) return fromBertVocabulary(text);
  const found: string[] = [];
  for (const name of OTHER_FILES) if (await files.has(name)) found.push(name);
  return refuse(
    `there must be a tokenizer.json, got ${found.join(" and ") || "no vocabulary at all"}; ${SAVE_FILE}`,
  );
}

async function readJson(files: ModelFiles, name: string): Promise<Config | undefined> {
  const text = await readText(files, name);
  if (text === undefined) return undefined;
  try {
    return asConfig(JSON.parse(text), name);
  } catch (error) {
    if (error instanceof SyntaxError) return refuse(`${name} must be JSON: ${error.message}`);
    throw error;
  }
}

async function readText(files: ModelFiles, name: string): Promise<string | undefined> {
  const file = await readModelFile(files, name, { maxBytes: MAX_BYTES });
  return file && new TextDecoder("utf-8", { ignoreBOM: true }).decode(file.bytes);
}
