import { z } from "zod";
import { add, clone, sub, type Tensor, tidy } from "../../../engine/mod.ts";
import { layerSettings, leadingFactors, lora, type LowRankFactors } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { isHead, type Method } from "../../method.ts";
import { pick, shapesOf, take, type Tensors, updated } from "../../tensors.ts";
import { adapterOptions, checkAdaptedWeights, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { leadingTriplets } from "../parts/adapters/leading_triplets.ts";
import { layerOf, layersOf } from "../parts/adapters/layer_names.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { SparseEntries } from "../parts/local/sparse_entries.ts";
import { CHANGES, sparseRule } from "../parts/local/sparse_rule.ts";

type State = {
  /** What is trained: in the sparse stage the adapted weights [out, in] too. */
  readonly global: Tensors;
  /** In the sparse stage: values [out, k] of the weights' entries that are trained. */
  readonly entries: Tensors;
  /** What these were in the pretrained weights. */
  readonly pretrained: Tensors;
  readonly seed: number;
};

/** By what names values of a layer's entries are sent down. */
const ENTRIES = ".entries";

/**
 * SLoRA (Babakniya et al., arXiv 2308.06522): for some rounds a few random entries of the adapted weights are trained, the same for all; then
 * the SVD of what was learnt, ΔW = U·S·Vᵀ, gives B = U_r·√(S_r/s) and A = √(S_r/s)·V_rᵀ to go on from, beside the pretrained weights. Both
 * stages train the head.
 */
export const sLora = defineMethod({
  name: "slora",
  trains: "a few entries of the weights; after some rounds, LoRA A and B",
  server: "averages them, and takes A and B from the SVD of what the entries learnt",
  rule:
    "first rounds: a drawn share d of W's entries is averaged; then U·S·Vᵀ = ΔW starts the factors on the pretrained W, as fedit",
  up: "d·o·i values, later A, B: r·(o + i)",
  down: "d·o·i values, later A, B: r·(o + i)",
  papers: ["2308.06522"],
  options: adapterOptions.extend({
    svd: svdOption,
    /** Rounds of the sparse stage. */
    sparseRounds: z.int().min(1).max(1e6).default(10),
    /** Share of each row's entries that are trained in the sparse stage, at least one. */
    density: z.number().gt(0).max(1).default(0.01),
  }),
  create(options) {
    const { sparseRounds, density, svd } = options;
    const inner = lowRankAveraging(options, { name: "slora", initialization: lora });
    const entriesOf = (layer: string, { shape }: Tensor, seed: number) =>
      new SparseEntries(shape, { density, seed, layer });
    /** The weight that has these entries, with its name. */
    const withEntries = (
      parameters: Tensors,
      [name, entries]: readonly [string, Tensor],
      seed: number,
    ): [string, Tensor] => {
      const weight = take(parameters, `${layerOf(name)}.weight`);
      return [`${layerOf(name)}.weight`, entriesOf(layerOf(name), weight, seed).replaced(weight, entries)];
    };
    const decompose = (layer: string, change: Tensor, seed: number): Promise<LowRankFactors> => {
      const settings = layerSettings(layer, options);
      const { rank } = settings;
      return leadingTriplets(change, { svd, rank, seed }, (found) => leadingFactors(found, settings));
    };
    return {
      ...inner,
      sendsOtherwise: true,
      unsoundWith: {
        asynchrony:
          "it has two stages, and a late update of the first one finds no entries to move in the second: take fedit",
      },
      check: (model) => checkAdaptedWeights(model, options),
      checkTraining({ optimizer: { weightDecay = 0 } }) {
        if (weightDecay === 0) return;
        throw new TypeError(
          "Cannot run slora with weight decay: it would move the entries of the weights that aren't trained; set it to 0",
        );
      },
      async init(pretrained, context) {
        this.check(pretrained);
        const { model, state: { global } } = await inner.init(pretrained, context);
        const layers = layersOf(global);
        const all = new Map(model.namedParameters());
        const weights = new Map(layers.map((each) => [`${each}.weight`, clone(take(all, `${each}.weight`))]));
        const entries = new Map(layers.map((each) => {
          const weight = take(weights, `${each}.weight`);
          return [`${each}${ENTRIES}`, tidy(() => entriesOf(each, weight, context.seed).valuesOf(weight))];
        }));
        const trained = [...all.keys()].filter((name) => weights.has(name) || global.has(name));
        const whole = pick(new Map([...global, ...weights]), trained);
        return { model, state: { global: whole, entries, pretrained: entries, seed: context.seed } };
      },
      plan({ global, entries, pretrained, seed }, round) {
        const isSparse = round <= sparseRounds;
        const isTrained = isSparse ? /\.weight$/ : /\.lora[AB]$/;
        const trained = [...global.keys()].filter((name) => isHead(name) || isTrained.test(name));
        const common = trained.filter((name) => !isSparse || isHead(name));
        return {
          trained,
          ...(isSparse && {
            local: sparseRule((layer, like) => entriesOf(layer, like, seed), {
              head: shapesOf(pick(global, common)),
              entries: new Map([...entries].map(([name, { shape }]) => [layerOf(name), shape])),
            }),
          }),
          download({ lastRound }) {
            if (!isSparse && entries.size > 0) {
              throw new RangeError(
                `Cannot go on with slora: nobody came through in round ${sparseRounds}, which ends the sparse stage; choose another for sparseRounds`,
              );
            }
            // A client that took part in the sparse stage gets the pretrained weights back.
            const wasSparse = lastRound >= 1 && lastRound <= sparseRounds;
            return new Map([...pick(global, common), ...isSparse ? entries : wasSparse ? pretrained : []]);
          },
        };
      },
      async apply(state: State, { values }, round) {
        const { entries, pretrained, seed } = state;
        const global = updated(state.global, values);
        if (round > sparseRounds) return { ...state, global };
        using held = new Held();
        const moved = held.hold(tidy(() =>
          new Map(
            [...entries].map(([name, each]) => [name, add(each, take(values, `${layerOf(name)}${CHANGES}`))]),
          )
        ));
        for (const [name, each] of moved) {
          if (round < sparseRounds) {
            const [weight, value] = withEntries(global, [name, each], seed);
            global.set(weight, held.hold(value));
            continue;
          }
          const layer = layerOf(name);
          const own = entriesOf(layer, take(global, `${layer}.weight`), seed);
          using change = tidy(() => own.matrixOf(sub(each, take(pretrained, name))));
          const { loraA, loraB } = held.hold(await decompose(layer, change, seed));
          global.set(`${layer}.loraA`, loraA).set(`${layer}.loraB`, loraB).delete(`${layer}.weight`);
        }
        return { ...state, ...held.release({ global, entries: round < sparseRounds ? moved : new Map() }) };
      },
      receive: (parameters, payload, { seed }) =>
        new Map(
          [...payload].flatMap(([name, value]) =>
            parameters.has(name)
              ? [[name, value]]
              : name.endsWith(ENTRIES)
              ? [withEntries(parameters, [name, value], seed)]
              : []
          ),
        ),
    } satisfies Method<State>;
  },
});
