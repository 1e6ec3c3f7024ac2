import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { HfTokenizer } from "../../../src/models/mod.ts";
import { readOutputs, type TextEntity, tokenClassification } from "../../../src/tasks/mod.ts";

type Tag = [index: number, tag: string, start: number, end: number];

/** What the pipeline of transformers 5.24 says of a text: test/golden/token_tags/generate.py. */
interface GoldenText {
  readonly kind: "spaced" | "signs" | "unspaced" | "mixed";
  readonly text: string;
  readonly ids: number[];
  /** Each token's tag. */
  readonly none: Tag[];
  /** Entities by tokens, and by words. */
  readonly simple: Tag[];
  readonly first: Tag[];
}

const { labels, tokenizers } = JSON.parse(
  gunzipSync(readFileSync(new URL("../../golden/token_tags/tags.json.gz", import.meta.url))).toString(),
) as {
  labels: string[];
  tokenizers: { name: string; file: unknown; settings: object; texts: GoldenText[] }[];
};
const task = tokenClassification({ labels });
const MAX_LENGTH = 160;

/** The golden script's outputs. */
function outputsOf(inputIds: readonly number[]): Float32Array {
  const outputs = new Float32Array(MAX_LENGTH * labels.length);
  inputIds.forEach((id, place) => {
    outputs[place * labels.length + (id * 31 + place * 17 + id * place % 7) % 5] = 4;
  });
  return outputs;
}

function predict(text: string, { file, settings }: { file: unknown; settings: object }) {
  const tokenizer = new HfTokenizer(file, { config: settings });
  const set = task.prepare([task.ask(text)], tokenizer, { maxLength: MAX_LENGTH });
  const { inputIds, tokens } = tokenizer.encodeText(text);
  const [prediction] = readOutputs(task.predictor(set), set, outputsOf(inputIds));
  return { ...prediction!, places: [...set.firstTokens[0]!], inputIds, tokens };
}

const entitiesOf = (entities: readonly unknown[]) =>
  (entities as readonly TextEntity[]).map(({ type, startChar, endChar }) => [type, startChar, endChar]);

for (const each of tokenizers) {
  test(`tokenClassification() tags words of a text as transformers' pipeline tags their first tokens, ${each.name}`, () => {
    let compared = 0;
    for (const { kind, text, ids, none, simple, first } of each.texts) {
      const found = predict(text, each);
      assert.deepEqual(found.inputIds, ids);
      assert.equal(found.tags.length, found.words!.length);
      const tags = new Map(none.map(([index, ...tag]) => [index, tag]));
      found.words!.forEach((word, i) => {
        assert.equal(text.slice(word.start, word.end), word.text);
        assert.equal(found.tags[i], tags.get(found.places[i]!)![0], `${text}: ${word.text}`);
      });
      for (const { start, end, isSpace } of found.tokens) {
        const [from, to] = [start + text.slice(start, end).search(/\S|$/), end];
        if (isSpace || from >= to) continue;
        assert(found.words!.some((word) => word.start <= from && to <= word.end), `${text}: ${start}`);
      }
      const isPlain = found.tokens.every(({ start, isSpace }, i) =>
        !isSpace && (i === 0 || start >= found.tokens[i - 1]!.end)
      );
      const spans = (entities: Tag[]) => entities.map(([, type, start, end]) => [type, start, end]);
      if (kind === "unspaced" && isPlain) {
        assert.deepEqual(entitiesOf(found.entities), spans(simple), text);
        compared++;
      } else if (kind === "spaced" && isPlain || kind === "signs" && each.name.startsWith("bert")) {
        assert.deepEqual(entitiesOf(found.entities), spans(first), text);
        compared++;
      }
    }
    assert(compared > 0);
  });
}
