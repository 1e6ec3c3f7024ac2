import { z } from "zod";
import { abs, Linear, type Tensor, zeros } from "../../../engine/mod.ts";
import { blockGrid, matchLinears, SparseBlockLinear } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { isHead, withOwnParameters } from "../../method.ts";
import { take } from "../../tensors.ts";
import { adapterOptions, adapterTargets } from "../parts/adapters/adapter_options.ts";
import { blockMeans, blockPlaces, rowsAndColumns } from "../parts/scouting/chosen_blocks.ts";
import { chooseLargest } from "../parts/scouting/choose_largest.ts";
import { defineMethod } from "../define_method.ts";
import { layerOf } from "../parts/adapters/layer_names.ts";
import { nameParts } from "../parts/adapters/layer_parts.ts";
import { scouted } from "../parts/scouting/scouted.ts";

/** By what names values of the blocks are sent down, as a client may have another number of them, and their places in the grid, [2, n]. */
const [VALUES, PLACES] = ["values", "places"] as const;

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
  create({ blockSize: size, share, targets }) {
    const options = { targets, rank: 1, alpha: 1 };
    return scouted(options, {
      name: "smt",
      purpose: "which chooses the blocks",
      asynchrony:
        "all must train the blocks that the first round chose, and an update may be older: take fedit",
      observation: {
        of: (gradient) => blockMeans(abs(gradient), size),
        shape: (weight) => blockGrid(weight, size),
      },
      trained: ["blocks"],
      frozen: ["blockRows", "blockColumns"],
      attach(pretrained) {
        const layers = new Set(matchLinears(pretrained, adapterTargets(pretrained, options)));
        return Promise.resolve(
          withOwnParameters(pretrained, isHead).mapModules((name, module) =>
            module instanceof Linear && layers.has(name) ? withoutBlocks(module, size) : module
          ),
        );
      },
      async start(found, { weights }) {
        using held = new Held();
        const scores = await Promise.all(
          [...found].map(async ([layer, means]) => ({ layer, scores: await means.floats() })),
        );
        const all = scores.reduce((sum, each) => sum + each.scores.length, 0);
        const best = chooseLargest(scores, Math.round(share * all));
        const layers = [...found].map(([layer, { gpu }]) => {
          const [weight, own] = [weights[layer]!, best.get(layer)!];
          const places = held.hold(rowsAndColumns(gpu, own, blockGrid(weight, size)[1]));
          const at = held.hold(blockPlaces(places, { weight, size }));
          return { layer, parts: { blocks: held.hold(zeros(gpu, [own.length, size, size])), ...at, places } };
        });
        return held.release(layers);
      },
      send: (layers, isNew) =>
        nameParts(
          layers,
          isNew ? ["blocks", PLACES] : ["blocks"],
          (part) => part === "blocks" ? VALUES : part,
        ),
      receive: (parameters, payload) =>
        new Map([...payload].flatMap(([name, value]): [string, Tensor][] => {
          if (parameters.has(name)) return [[name, value]];
          const layer = layerOf(name);
          if (name.endsWith(`.${VALUES}`)) return [[`${layer}.blocks`, value]];
          const { shape: weight } = take(parameters, `${layer}.weight`);
          const { blockRows, blockColumns } = blockPlaces(value, { weight, size });
          return [[`${layer}.blockRows`, blockRows], [`${layer}.blockColumns`, blockColumns]];
        })),
    });
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
