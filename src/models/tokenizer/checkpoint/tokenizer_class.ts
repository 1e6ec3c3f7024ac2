import { asConfig, type Config, refuse, show } from "../read_config.ts";

/**
 * How a class of `transformers` makes its steps: `generic` reads all of them from tokenizer.json; the others make
 * some or all of them from `tokenizer_config.json`, whatever tokenizer.json says.
 */
export type TokenizerScheme =
  | "generic"
  | "bert"
  | "wordPiece"
  | "roberta"
  | "byteLevel"
  | "xlmRoberta"
  | "debertaV2"
  | "albert";

/** What a checkpoint says about its tokenizer's class. */
export interface TokenizerClassSource {
  /** `tokenizer_config.json` */
  readonly settings: Config;
  /** The model's `config.json`; empty if there is none. */
  readonly model: Config;
  /** Whether there is a tokenizer.json. */
  readonly hasFile: boolean;
}

const CLASSES: Readonly<Record<TokenizerScheme, readonly string[]>> = {
  generic: [],
  bert: [
    ..."Bert DistilBert Electra ConvBert MobileBert SqueezeBert Lxmert LayoutLM".split(" "),
    ..."DPRContextEncoder DPRQuestionEncoder DPRReader".split(" "),
  ],
  wordPiece: ["MPNet", "Funnel", "Splinter"],
  roberta: ["Roberta", "Longformer", "Bart", "LED", "Mvp"],
  byteLevel: ["Deberta", "GPT2"],
  xlmRoberta: ["XLMRoberta"],
  debertaV2: ["DebertaV2"],
  albert: ["Albert", "FNet"],
};

/** Classes that split texts with code of their own, or with libraries that a tokenizer.json can't replace. */
const OWN_CODE = new Set([
  ..."BertJapanese Bertweet BioGpt BlenderbotSmall ByT5 CTRL Canine Clvp CpmAnt Cpm Dia Esm FSMT".split(" "),
  ..."FastSpeech2Conformer Flaubert GPTNeoXJapanese M2M100 Marian Mgpstr MyT5 Perceiver Phobert".split(" "),
  ..."ProphetNet RoCBert Speech2Text Tapas Vits Wav2Vec2CTC Wav2Vec2PhonemeCTC XLM RoFormer Bartpho".split(
    " ",
  ),
  ..."BertGeneration GPTSw3 PLBart Siglip SpeechT5 Mecab Character Pop2Piano Rag".split(" "),
]);

const SCHEMES: ReadonlyMap<string, TokenizerScheme> = new Map(
  Object.entries(CLASSES).flatMap(([scheme, names]) =>
    names.map((name) => [name, scheme as TokenizerScheme])
  ),
);

/** The classes that `transformers` takes for models that name none, by `model_type`. */
const BY_MODEL_TYPE: Readonly<Record<string, string>> = {
  "bert": "BertTokenizer",
  "distilbert": "BertTokenizer",
  "electra": "BertTokenizer",
  "deberta-v2": "DebertaV2Tokenizer",
  "roberta": "RobertaTokenizer",
  "xlm-roberta": "XLMRobertaTokenizer",
};

/** The class that `transformers` takes; undefined if nothing says which. @throws {TokenizerError} if it isn't a name. */
export function tokenizerClass(
  { settings, model }: Omit<TokenizerClassSource, "hasFile">,
): string | undefined {
  const named = settings.tokenizer_class ?? model.tokenizer_class ?? undefined;
  if (named !== undefined && typeof named !== "string") {
    return refuse(`tokenizer_class must be a string, got ${show(named)}`);
  }
  const type = model.model_type;
  return named ??
    (typeof type === "string" && Object.hasOwn(BY_MODEL_TYPE, type) ? BY_MODEL_TYPE[type] : undefined);
}

/**
 * How the class of a checkpoint's tokenizer makes its steps, as in `AutoTokenizer` of transformers 5.
 *
 * @throws {TokenizerError} if the class splits texts with code that isn't supported, or needs files that are missing.
 */
export function tokenizerScheme(source: TokenizerClassSource): TokenizerScheme {
  const { settings, hasFile } = source;
  const name = tokenizerClass(source);
  const code = ownCode(settings.auto_map);
  if (code !== undefined && !(hasFile && code.isFast)) {
    return refuse(
      `auto_map of tokenizer_config.json asks for code of the model's own, ${code.name}, which isn't run here; ` +
        SAVE_FILE,
    );
  }
  const stem = name?.replace(/Fast$/, "").replace(/Tokenizer$/, "");
  if (stem !== undefined && OWN_CODE.has(stem)) {
    return refuse(
      `tokenizer_class ${name} splits texts with code or libraries of its own, which aren't supported, and which a ` +
        "tokenizer.json can't replace",
    );
  }
  const scheme = stem === undefined ? undefined : SCHEMES.get(stem);
  if (hasFile) return scheme ?? "generic";
  if (scheme === "bert" || name === undefined) return "bert";
  return refuse(`tokenizer_class ${name} needs a tokenizer.json, got vocab.txt alone; ${SAVE_FILE}`);
}

/** How to get a tokenizer.json. */
export const SAVE_FILE = "where Python's transformers has a fast tokenizer for it, " +
  'AutoTokenizer.from_pretrained("the model").save_pretrained("its folder") writes a tokenizer.json';

/** The code that a checkpoint brings for its tokenizer, and whether it's that of a fast one, which reads tokenizer.json. */
function ownCode(value: unknown): { readonly name: string; readonly isFast: boolean } | undefined {
  if (value === undefined || value === null) return undefined;
  const classes = Array.isArray(value) ? value : asConfig(value, "auto_map").AutoTokenizer;
  if (classes === undefined || classes === null) return undefined;
  const [slow, fast] = Array.isArray(classes) ? classes : [classes, null];
  return { name: String(fast ?? slow), isFast: typeof fast === "string" };
}
