import {
  asConfig,
  asFlag,
  asId,
  asList,
  asText,
  type Config,
  readSteps,
  refuse,
  show,
} from "./read_config.ts";

/** A special token, or the place of a text's own tokens: 0 is the first text, 1 the second of a pair. */
export type TemplateItem =
  | { readonly id: number; readonly type: number }
  | { readonly part: 0 | 1; readonly type: number };

/** What is put around the tokens of texts, and what becomes of the spaces in the positions of tokens. */
export interface PostProcessor {
  readonly single: readonly TemplateItem[];
  readonly pair: readonly TemplateItem[];
  /** Whether a token stands where its text without spaces stands. */
  readonly trims: boolean;
  /** Whether a space at the start of a text was put there by the tokenizer, so that there is none to leave out. */
  readonly addsSpace: boolean;
}

const PLAIN: PostProcessor = {
  single: [{ part: 0, type: 0 }],
  pair: [{ part: 0, type: 0 }, { part: 1, type: 1 }],
  trims: false,
  addsSpace: false,
};

/**
 * The `post_processor` of a tokenizer.json; null puts nothing around texts.
 *
 * @param ids of all tokens
 * @throws {TokenizerError} if it is of an unknown type or its settings don't make sense.
 */
export function readPostProcessor(value: unknown, ids: ReadonlySet<number>): PostProcessor {
  if (value === null || value === undefined) return PLAIN;
  const processor = { ...PLAIN, ...readStep(value, "post_processor", 0) };
  for (const item of [...processor.single, ...processor.pair]) {
    if ("id" in item && !ids.has(item.id)) refuse(`post_processor needs id ${item.id}, which no token has`);
  }
  return processor;
}

function readStep(value: unknown, what: string, depth: number): Partial<PostProcessor> {
  const config = asConfig(value, what);
  switch (config.type) {
    case "Sequence":
      return Object.assign({}, ...readSteps(config.processors, `${what}.processors`, depth, readStep));
    case "ByteLevel":
      return readTrimming(config, what);
    case "BertProcessing": {
      const cls = { id: readMark(config.cls, `${what}.cls`), type: 0 };
      const sep = { id: readMark(config.sep, `${what}.sep`), type: 0 };
      const single = [cls, PLAIN.single[0]!, sep];
      return { single, pair: [...single, PLAIN.pair[1]!, { ...sep, type: 1 }] };
    }
    case "RobertaProcessing": {
      const cls = { id: readMark(config.cls, `${what}.cls`), type: 0 };
      const sep = { id: readMark(config.sep, `${what}.sep`), type: 0 };
      const single = [cls, PLAIN.single[0]!, sep];
      return { single, pair: [...single, sep, { part: 1, type: 0 }, sep], ...readTrimming(config, what) };
    }
    case "TemplateProcessing":
      return {
        single: readTemplate(config.single, config, `${what}.single`, ["A"]),
        pair: readTemplate(config.pair, config, `${what}.pair`, ["A", "B"]),
      };
    default:
      return refuse(`${what}.type ${show(config.type)} is not supported`);
  }
}

function readTrimming(config: Config, what: string): Pick<PostProcessor, "trims" | "addsSpace"> {
  return {
    trims: asFlag(config.trim_offsets, `${what}.trim_offsets`, true),
    addsSpace: asFlag(config.add_prefix_space, `${what}.add_prefix_space`, true),
  };
}

/** The id in `["[SEP]", 102]`. */
function readMark(value: unknown, what: string): number {
  const pair = asList(value, what);
  asText(pair[0], `${what}[0]`);
  return asId(pair[1], `${what}[1]`);
}

function readTemplate(
  value: unknown,
  config: Config,
  what: string,
  parts: readonly string[],
): TemplateItem[] {
  const specials = asConfig(config.special_tokens, "post_processor.special_tokens");
  const items = asList(value, what).flatMap((entry, i): TemplateItem[] => {
    const item = asConfig(entry, `${what}[${i}]`);
    const content = asConfig(item.SpecialToken ?? item.Sequence, `what ${what}[${i}] holds`);
    const type = asId(content.type_id, `${what}[${i}].type_id`);
    const name = asText(content.id, `${what}[${i}].id`);
    if (item.SpecialToken === undefined) {
      if (!parts.includes(name)) {
        refuse(`${what} must have the parts ${parts.join(" and ")}, got ${show(name)}`);
      }
      return [{ part: name === "A" ? 0 : 1, type }];
    }
    const place = `post_processor.special_tokens[${show(name)}]`;
    const special = asConfig(Object.hasOwn(specials, name) ? specials[name] : undefined, place);
    return asList(special.ids, `${place}.ids`).map((id) => ({ id: asId(id, `an id of ${place}`), type }));
  });
  const found = items.flatMap((item) => "part" in item ? ["AB"[item.part]] : []);
  if (found.length !== parts.length || new Set(found).size !== parts.length) {
    refuse(
      `${what} must have each of the parts ${parts.join(" and ")} once, got ${found.join(", ") || "none"}`,
    );
  }
  return items;
}
