import { asFlag, type Config, refuse, show } from "../read_config.ts";
import type { ClassStepsOptions } from "./_class_steps.ts";
import { DEFAULT_TOKENS, type SpecialTokens, textOf } from "./_class_tokens.ts";

/** The `post_processor` of a class that makes its own; undefined for those that keep that of tokenizer.json. */
export function classProcessor(
  { scheme, settings }: ClassStepsOptions,
  special: SpecialTokens,
): Config | undefined {
  const mark = (name: string) => {
    const usual = DEFAULT_TOKENS[scheme][name];
    return special.get(name) ??
      refuse(`the ${name} ${show(textOf(settings[name]) ?? usual)} must be in the vocabulary`);
  };
  switch (scheme) {
    case "generic":
    case "wordPiece":
    case "byteLevel":
    case "albert":
      return undefined;
    case "roberta": {
      const [cls, sep] = [mark("cls_token"), mark("sep_token")];
      return {
        type: "RobertaProcessing",
        cls: [cls.content, cls.id],
        sep: [sep.content, sep.id],
        trim_offsets: asFlag(settings.trim_offsets, "tokenizer_config.json's trim_offsets", true),
        add_prefix_space: asFlag(
          settings.add_prefix_space,
          "tokenizer_config.json's add_prefix_space",
          false,
        ),
      };
    }
    case "xlmRoberta": {
      const [bos, eos] = [mark("bos_token"), mark("eos_token")];
      return template(bos, eos, { separators: 2, types: false });
    }
    case "bert":
    case "debertaV2":
      return template(mark("cls_token"), mark("sep_token"), { separators: 1, types: true });
  }
}

function template(
  cls: { readonly content: string; readonly id: number },
  sep: { readonly content: string; readonly id: number },
  { separators, types }: { readonly separators: number; readonly types: boolean },
): Config {
  const mark = (id: string, type_id = 0) => ({ SpecialToken: { id, type_id } });
  const part = (id: string, type_id = 0) => ({ Sequence: { id, type_id } });
  const second = types ? 1 : 0;
  const single = [mark("cls"), part("A"), mark("sep")];
  const between = new Array(separators - 1).fill(mark("sep"));
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, ...between, part("B", second), mark("sep", second)],
    special_tokens: { cls: { id: "cls", ids: [cls.id] }, sep: { id: "sep", ids: [sep.id] } },
  };
}
