import { z } from "zod";
import { abs, concat, mul, slice, sqrt, sumOfSquares, type Tensor, tidy } from "../../../engine/mod.ts";
import { factoredLinears, triplets } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { isHead, type Method, trainableParameters } from "../../method.ts";
import { type Tensors, updated } from "../../tensors.ts";
import { adaptEncoder, adapterOptions, checkEncoderAdapters } from "../parts/adapters/adapter_options.ts";
import { chooseLargest } from "../parts/scouting/choose_largest.ts";
import { defineMethod } from "../define_method.ts";
import { layerOf } from "../parts/adapters/layer_names.ts";
import { type LayerParts, nameParts, takeParts } from "../parts/adapters/layer_parts.ts";

const PARTS = ["loraA", "loraB", "loraE"] as const;

/** The triplets of one layer that are left: A [r, in], B [out, r] and E [r]. */
type LayerTriplets = LayerParts<(typeof PARTS)[number]>;

type State = {
  /** Values of the head. */
  readonly head: Tensors;
  readonly layers: readonly LayerTriplets[];
  /** How many triplets there were at first. */
  readonly first: number;
};

/** By what names values are sent down: their shapes differ from those that a client has. */
const sentAs = (part: string) => part.replace("lora", "left");

/**
 * FedARA (Wu et al., arXiv 2501.14406): ΔW = s·B·diag(E)·A, averaged part by part, and the ranks shrink: after a warm-up the server drops
 * the triplets of least importance over all layers, on AdaLoRA's cubic schedule (arXiv 2303.10512), and what is sent shrinks with them. The
 * importance of a triplet is the size of what it adds to the weight, ‖s·b_i·e_i·a_i‖_F, which the server knows by itself; in the paper
 * clients send votes. Each layer keeps one triplet at least, where the paper may freeze a layer.
 */
export const fedAra = defineMethod({
  name: "fedara",
  trains: "A, B and E of ΔW = s·B·diag(E)·A, whose ranks shrink",
  server: "averages each part, and drops the triplets that matter least over all layers",
  rule: "A, B, E ← means; then of all layers' triplets the b(t) with the largest |e_i|·‖b_i‖·‖a_i‖ stay",
  up: "A, B, E of the triplets that are left: r_t·(o + i + 1)",
  down: "A, B, E of the triplets that are left: r_t·(o + i + 1)",
  papers: ["2501.14406"],
  options: adapterOptions.extend({
    /** The mean rank over layers that is left in the end. */
    finalRank: z.number().gt(0).max(2 ** 16).optional(),
    /** Rounds before the first triplets are dropped. */
    warmupRounds: z.int().min(0).max(1e6).default(5),
    /** Rounds in which they are dropped. */
    pruningRounds: z.int().min(1).max(1e6).default(20),
  }),
  create({ finalRank, warmupRounds, pruningRounds, ...options }) {
    /** The triplets that are left after a round, of those there were at first. */
    const budget = (round: number, first: number, layers: number) => {
      const last = Math.min(first, finalRank === undefined ? first / 2 : finalRank * layers);
      const left = 1 - Math.min(1, Math.max(0, (round - warmupRounds) / pruningRounds));
      return Math.round(last + (first - last) * left ** 3);
    };
    return {
      name: "fedara",
      sendsOtherwise: true,
      unsoundWith: {
        asynchrony: "its ranks shrink, so that an update of an earlier round has others: take fedit",
        errorFeedback: "what a codec lost of a triplet has no place once that is dropped: take codec f32",
      },
      check: (pretrained) => checkEncoderAdapters(pretrained, options),
      async init(pretrained, context) {
        this.check(pretrained);
        const model = await adaptEncoder(pretrained, { ...options, context, initialization: triplets });
        const parameters = new Map(model.namedParameters());
        const layers = [...factoredLinears(model).keys()].map((layer) => takeParts(parameters, layer, PARTS));
        const head = trainableParameters(model, isHead);
        return { model, state: { head, layers, first: sizeOf(layers) } };
      },
      parameters: ({ head, layers }) => new Map([...head, ...nameParts(layers, PARTS)]),
      plan: ({ head, layers }) => ({
        trained: [...nameParts(layers, PARTS).keys(), ...head.keys()],
        download: () => new Map([...head, ...nameParts(layers, PARTS, sentAs)]),
      }),
      async apply({ head, layers, first }, { values }, round) {
        using held = new Held();
        const means = layers.map(({ layer }) => takeParts(values, layer, PARTS));
        const next = { head: updated(head, values), first };
        const count = budget(round, first, layers.length);
        if (count >= sizeOf(means)) return { ...next, layers: means };
        const scores = await Promise.all(means.map(async ({ layer, parts }) => {
          using found = tidy(() => importance(parts));
          return { layer, scores: await found.floats() };
        }));
        const left = chooseLargest(scores, count);
        const pruned = means.map(({ layer, parts }) => ({
          layer,
          parts: held.hold(tidy(() => keepTriplets(parts, left.get(layer)!))),
        }));
        return { ...next, layers: held.release(pruned) };
      },
      receive: (parameters, payload) =>
        new Map([...payload].flatMap(([name, value]): [string, Tensor][] => {
          const part = PARTS.find((each) => name.endsWith(`.${sentAs(each)}`));
          if (part !== undefined) return [[`${layerOf(name)}.${part}`, value]];
          return parameters.has(name) ? [[name, value]] : [];
        })),
    } satisfies Method<State>;
  },
});

/** How many triplets layers have together. */
function sizeOf(layers: readonly LayerTriplets[]): number {
  return layers.reduce((sum, { parts: { loraE } }) => sum + loraE.size, 0);
}

/** |e_i|·‖b_i‖·‖a_i‖, [r]. */
function importance({ loraA, loraB, loraE }: LayerTriplets["parts"]): Tensor {
  const lengths = sqrt(mul(sumOfSquares(loraA, { axes: [1] }), sumOfSquares(loraB, { axes: [0] })));
  return mul(abs(loraE), lengths);
}

/** Some of the triplets, in their order. */
function keepTriplets(
  { loraA, loraB, loraE }: LayerTriplets["parts"],
  places: readonly number[],
): LayerTriplets["parts"] {
  const some = (x: Tensor, axis: number) =>
    concat(places.map((start) => slice(x, { axis, start, end: start + 1 })), { axis });
  return { loraA: some(loraA, 0), loraB: some(loraB, 1), loraE: some(loraE, 0) };
}
