import { z } from "zod";
import { abs, Linear, type Shape, type Tensor, zeros } from "../../../engine/mod.ts";
import { blockGrid, matchLinears, SparseBlockLinear } from "../../../federa/mod.ts";
import type { TaskModel } from "../../../tasks/mod.ts";
import { Held } from "../../held.ts";
import { isHead, type Method, trainableParameters, withOwnParameters } from "../../method.ts";
import { take, type Tensors } from "../../tensors.ts";
import { adapterOptions, checkEncoderAdapters } from "../parts/adapter_options.ts";
import { blockMeans, blockPlaces, rowsAndColumns } from "../parts/chosen_blocks.ts";
import { chooseLargest } from "../parts/choose_largest.ts";
import { defineMethod } from "../define_method.ts";
import { observed, scoutingPlan, unsoundByScouting } from "../parts/scouting.ts";

/** The blocks of one layer. */
type LayerBlocks = {
  readonly layer: string;
  /** Changes of the blocks, [n, l, l]. */
  readonly blocks: Tensor;
  readonly blockRows: Tensor;
  readonly blockColumns: Tensor;
  /** Their rows and columns in the grid, [2, n]. */
  readonly places: Tensor;
};

type State = {
  /** Values of the head. */
  readonly head: Tensors;
  /** Empty until the first round has chosen. */
  readonly chosen: readonly LayerBlocks[];
  /** What stands in their place until then, by the names of parameters. */
  readonly nowhere: Tensors;
  /** Shapes [out, in] of the layers' weights, in model order. */
  readonly weights: { readonly [layer: string]: readonly number[] };
};

const [BLOCKS, VALUES, PLACES] = [".blocks", ".values", ".places"];

/**
 * SMT (He et al., arXiv 2405.15525), federated: the first round finds the mean size of the gradient in each block of l×l of the weights;
 * from then on the blocks where it is largest are trained and sent, the others stay. All layers compete for the blocks, and each keeps its
 * best one at least. The server sees how large gradients are, not gradients.
 */
export const smt = defineMethod({
  name: "smt",
  trains: "the blocks of the weights with the largest gradients, which a round finds",
  server: "chooses the blocks by the mean size of the gradient, then averages them, which is exact",
  rule:
    "first round: the share d of all l×l blocks with the largest mean |G|; then ΔW_b ← Σ p_k·ΔW_{b,k} for these blocks b",
  up: "in the first round mean |G| of each block: ⌈o/l⌉·⌈i/l⌉; later its n blocks: n·l²",
  down: "in the first round nothing; places once: n; blocks: n·l²",
  papers: ["2405.15525"],
  options: z.strictObject({
    targets: adapterOptions.shape.targets,
    /** l, the side of a block. */
    blockSize: z.int().min(1).max(4096).default(64),
    /** d, the share of all blocks that is trained, at least one block a layer. */
    share: z.number().gt(0).max(1).default(0.01),
  }),
  create({ blockSize: size, share, ...rest }) {
    const layersOf = (pretrained: TaskModel): Map<string, Linear> => {
      const names = new Set(matchLinears(pretrained, rest.targets ?? pretrained.encoder.adapterTargets));
      return new Map(
        [...pretrained.namedModules()].flatMap(([name, module]) =>
          module instanceof Linear && names.has(name) ? [[name, module]] : []
        ),
      );
    };
    return {
      name: "smt",
      sendsOtherwise: true,
      unsoundWith: {
        ...unsoundByScouting,
        asynchrony:
          "all must train the blocks that the first round chose, and an update may be older: take fedit",
      },
      check(pretrained) {
        checkEncoderAdapters(pretrained, { ...rest, rank: 1, alpha: 1 });
        const weights = new Set([...layersOf(pretrained).keys()].map((each) => `${each}.weight`));
        trainableParameters(pretrained, (each) => weights.has(each));
      },
      init(pretrained) {
        this.check(pretrained);
        const own = withOwnParameters(pretrained, isHead);
        const layers = layersOf(pretrained);
        const model = own.mapModules((name, module) =>
          layers.has(name) ? withoutBlocks(module as Linear, size) : module
        );
        const weights = Object.fromEntries([...layers].map(([name, { weight }]) => [name, weight.shape]));
        const nowhere = new Map(
          [...model.namedParameters()].filter(([name]) => /\.block(s|Rows|Columns)$/.test(name)),
        );
        return Promise.resolve({
          model,
          state: { head: trainableParameters(model, isHead), chosen: [], nowhere, weights },
        });
      },
      parameters: ({ head, chosen, nowhere }) =>
        new Map([
          ...head,
          ...nowhere,
          ...chosen.flatMap(({ layer, blocks, blockRows, blockColumns }): [string, Tensor][] => [
            [`${layer}${BLOCKS}`, blocks],
            [`${layer}.blockRows`, blockRows],
            [`${layer}.blockColumns`, blockColumns],
          ]),
        ]),
      plan({ head, chosen, weights }, round) {
        if (round === 1) {
          return scoutingPlan(new Map(Object.entries(weights)), {
            of: (gradient) => blockMeans(abs(gradient), size),
            shape: (weight: Shape) => blockGrid(weight, size),
          });
        }
        return {
          trained: [...Object.keys(weights).map((layer) => `${layer}${BLOCKS}`), ...head.keys()],
          download({ lastRound }) {
            if (chosen.length === 0) {
              throw new RangeError(
                "Cannot go on with smt: nobody came through in round 1, which chooses the blocks; start again",
              );
            }
            return new Map([
              ...head,
              ...chosen.flatMap(({ layer, blocks, places }) => [
                [`${layer}${VALUES}`, blocks] as const,
                // A client of the first round doesn't know yet what came of it.
                ...lastRound <= 1 ? [[`${layer}${PLACES}`, places] as const] : [],
              ]),
            ]);
          },
        };
      },
      async apply({ head, chosen, nowhere, weights }, { values }, round) {
        if (round > 1) {
          return {
            head: new Map([...head].map(([name, value]) => [name, values.get(name) ?? value])),
            chosen: chosen.map((own) => ({ ...own, blocks: take(values, `${own.layer}${BLOCKS}`) })),
            nowhere,
            weights,
          };
        }
        const layers = Object.keys(weights);
        const scores = await Promise.all(layers.map((layer) => observed(values, layer).floats()));
        const scored = layers.map((layer, i) => ({ layer, scores: scores[i]! }));
        const all = scored.reduce((sum, each) => sum + each.scores.length, 0);
        const best = chooseLargest(scored, Math.round(share * all));
        using held = new Held();
        const found = layers.map((layer) => {
          const { gpu } = observed(values, layer);
          const weight = weights[layer]!;
          const own = best.get(layer)!;
          const places = held.hold(rowsAndColumns(gpu, own, blockGrid(weight, size)[1]));
          const at = blockPlaces(places, { weight, size });
          for (const each of Object.values(at)) held.hold(each);
          return { layer, blocks: held.hold(zeros(gpu, [own.length, size, size])), ...at, places };
        });
        const next = { head, chosen: found, nowhere: new Map(), weights };
        held.releaseTree(next);
        return next;
      },
      receive(parameters, payload) {
        return new Map([...payload].flatMap(([name, value]): [string, Tensor][] => {
          if (parameters.has(name)) return [[name, value]];
          if (name.endsWith(VALUES)) return [[`${name.slice(0, -VALUES.length)}${BLOCKS}`, value]];
          const layer = name.slice(0, -PLACES.length);
          const { shape: weight } = take(parameters, `${layer}.weight`);
          const { blockRows, blockColumns } = blockPlaces(value, { weight, size });
          return [[`${layer}.blockRows`, blockRows], [`${layer}.blockColumns`, blockColumns]];
        }));
      },
    } satisfies Method<State>;
  },
});

/** A layer whose blocks aren't chosen yet: one that is nowhere. */
function withoutBlocks({ weight, bias }: Linear, size: number): SparseBlockLinear {
  const { gpu } = weight;
  const [rows, columns] = blockGrid(weight.shape, size);
  return new SparseBlockLinear({
    weight,
    bias,
    blocks: zeros(gpu, [1, size, size]),
    blockRows: zeros(gpu, [rows, 1]),
    blockColumns: zeros(gpu, [1, columns]),
  });
}
