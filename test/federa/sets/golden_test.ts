import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { backward, disposeAll, mul, sum, type Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import {
  attachAttentionScales,
  attachBottlenecks,
  attachPrefixes,
  attachPrompt,
  BottleneckLinear,
} from "../../../src/federa/mod.ts";
import {
  AttentionPoint,
  LayerPoint,
  readSafetensors,
  toFloat32,
  TokenPoint,
  type TokenTensors,
} from "../../../src/models/mod.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { placeRows } from "../../../src/tasks/row_layout.ts";
import { testGpu } from "../../engine/harness.ts";
import { maxAbsDifference } from "../../support/compare.ts";
import { GoldenEncoder } from "../../support/golden_encoder.ts";

const gpu = await testGpu();
const names = ["bert_a", "roberta_a", "distilbert_a", "electra_a", "deberta_v2_a", "deberta_v2_c"];
const lengths = [6, 3, 1];
const golden = (path: string) => new URL(`../../golden/${path}.safetensors`, import.meta.url);

/** How a set is put on a model. */
const attach: Readonly<Record<string, (model: TaskModel) => TaskModel>> = {
  houlsby(model) {
    const { attention, feedForward } = model.encoder.residualTargets!;
    return attachBottlenecks(model, { targets: [...attention, ...feedForward], size: 5 });
  },
  probabilities: (model) => attachAttentionScales(model, { scaled: "probabilities", offsets: true }),
  logits: (model) => attachAttentionScales(model, { scaled: "logits", offsets: true }),
  prompt: (model) => attachPrompt(model, { tokens: 3 }),
  prefix: (model) => attachPrefixes(model, { tokens: 3 }),
};

/** The golden name of each parameter of a set: its own, behind the number of its module among those of its kind. */
function goldenNames(model: TaskModel): Map<string, string> {
  const counts = new Map<string, number>();
  return new Map([...model.namedModules()].flatMap(([name, module]) => {
    const part = /attention/.test(name) ? "attention." : "feedForward.";
    const isTrained = (own: string) => !(module instanceof BottleneckLinear) || /^(down|up)/.test(own);
    const own = [...module.namedParameters()].map(([each]) => each).filter(isTrained);
    const isOne = module instanceof TokenPoint;
    const kind = [BottleneckLinear, AttentionPoint, LayerPoint].findIndex((type) => module instanceof type);
    if (own.length === 0 || (kind < 0 && !isOne)) return [];
    const key = kind === 0 ? part : String(kind);
    const i = counts.get(key) ?? 0;
    counts.set(key, i + 1);
    const prefix = isOne ? "" : kind === 0 ? `${part}${i}.` : `${i}.`;
    return own.map((each) => [`${name}.${each}`, `${prefix}${each}`] as const);
  }));
}

/** The texts of a case, on their own or for two members, and packed if asked for. */
function tokensOf(
  stored: ReturnType<typeof readSafetensors>["tensors"],
  { members, packed, types }: { members?: number; packed: boolean; types: boolean },
): TokenTensors {
  const leading = members === undefined ? [] : [members];
  const copies = members ?? 1;
  const repeat = <T>(values: ArrayLike<T>): T[] =>
    Array.from({ length: copies }, () => Array.from(values)).flat();
  const shape = [...leading, 3, 6];
  const integers = (name: string) =>
    tensor(gpu, Uint32Array.from(repeat(stored.get(name)!.data as Int32Array)), { shape });
  const rows = 16;
  const places = placeRows(Array.from({ length: copies }, () => lengths), { length: 6, rows });
  return {
    inputIds: integers("ids"),
    attentionMask: tensor(gpu, Float32Array.from(repeat(stored.get("mask")!.data as Float32Array)), {
      shape,
    }),
    ...(types && stored.has("types") && { tokenTypeIds: integers("types") }),
    ...(packed && {
      rowTokens: tensor(gpu, places.rowTokens, { shape: [...leading, rows] }),
      tokenRows: tensor(gpu, places.tokenRows, { shape }),
      rowPositions: tensor(gpu, places.rowPositions, { shape: [...leading, rows] }),
    }),
  };
}

// Errors of f32 in two layers of some 30 dimensions: a few hundred roundings of 6e-8, seen up to 6e-6 of the largest value.
const bound = 3e-5;

function near(found: Float32Array, expected: Float32Array, label: string): void {
  const scale = Math.max(1, ...expected.map(Math.abs));
  const worst = maxAbsDifference(found, expected) / scale;
  assert.ok(worst < bound, `${label}: off by ${worst}`);
}

for (const name of names) {
  test(`sets on ${name} have torch's states and gradients, packed or not, alone or beside another member`, async () => {
    const encoder = new GoldenEncoder(golden(`encoders/${name}`));
    const pretrained = await encoder.load(gpu);
    const { tensors } = readSafetensors(readFileSync(golden(`sets/${name}`)));
    const values = (key: string) => toFloat32(tensors.get(key)!);
    for (const [set, put] of Object.entries(attach)) {
      if (!tensors.has(`${set}.states`)) continue;
      const model = put(pretrained);
      const theirs = goldenNames(model);
      assert.equal(
        theirs.size,
        [...tensors.keys()].filter((key) => key.startsWith(`${set}.value.`)).length,
        set,
      );
      for (const members of [undefined, 2]) {
        for (const packed of [false, true]) {
          const label = `${name}, ${set}, ${members ?? "no"} members, ${packed ? "packed" : "padded"}`;
          const { states, gradients } = tidy(() => {
            const leaves = new Map<string, Tensor>();
            const own = model.mapParameters((each, parameter) => {
              const key = theirs.get(each);
              if (key === undefined) return parameter;
              const value = values(`${set}.value.${key}`);
              // Another member has other values.
              const all = members === undefined ? value : [...value, ...value.map((x) => 0.5 - x)];
              const shape = members === undefined ? parameter.shape : [members, ...parameter.shape];
              const leaf = tensor(gpu, Float32Array.from(all), { shape }).requireGrad();
              leaves.set(key, leaf);
              return leaf;
            });
            // PEFT passes over types beside prompts and prefixes of the bare encoder.
            const byPeft = set === "prefix" || set === "prompt" && !/electra/.test(name);
            const tokens = tokensOf(tensors, {
              ...(members && { members }),
              packed,
              types: !byPeft,
            });
            const states = own.encoder.encode(tokens);
            const dy = values("dy");
            const weights = tensor(
              gpu,
              Float32Array.from(members === undefined ? dy : [...dy, ...dy.map((x) => 2 * x)]),
              { shape: states.shape },
            );
            const grads = backward(sum(mul(states, weights)), [...leaves.values()]);
            return { states, gradients: new Map([...leaves.keys()].map((key, i) => [key, grads[i]!])) };
          });
          const mine = (x: Float32Array) => x.subarray(0, x.length / (members ?? 1));
          const found = mine(await states.floats());
          const mask = values("mask");
          near(
            found.map((x, i) => x * mask[Math.floor(i / pretrained.encoder.hiddenSize)]!),
            values(`${set}.states`),
            label,
          );
          for (const [key, gradient] of gradients) {
            near(mine(await gradient.floats()), values(`${set}.gradient.${key}`), `${label}, ${key}`);
          }
          disposeAll([states, ...gradients.values()]);
        }
      }
    }
  });
}
