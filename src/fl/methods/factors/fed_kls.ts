import { z } from "zod";
import { assign, concat, mul, slice, type Tensor, tidy, where } from "../../../engine/mod.ts";
import { federa } from "../../../federa/mod.ts";
import type { Uploads } from "../../aggregation/aggregator.ts";
import type { Client, LocalRule } from "../../method.ts";
import { take } from "../../tensors.ts";
import { adapterOptions, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { type Factor, factorsOf, termMask } from "../parts/adapters/terms.ts";
import { weightedSum } from "../parts/averaging/weighted_sum.ts";

/** By what names a client's part of a factor is sent. */
const PART = ".part";

/**
 * An adaptation of FedKLS, of which its authors' abstract alone was at hand: the divergence of a client's labels chooses which part
 * of the singular spectrum it adapts. Here the m·r leading singular triplets of the pretrained weights start FeDeRA's factors, in m
 * parts of r. A client trains and sends one part: the leading one where its labels are shared out as everybody's, a later one
 * the further they are from that (KL(q_k ‖ p) as a share of ln(classes)). The server averages each part over those who trained it. The
 * server learns that one number of each client's labels, the clients the parts alone.
 */
export const fedKls = defineMethod({
  name: "fedkls",
  trains:
    "one of m parts of A and B from the SVD of the pretrained weights, chosen by how its labels diverge",
  server: "averages each part over those who trained it",
  rule:
    "A, B of the m·r leading triplets as in federa; part j ← Σ p_k·part_j,k / Σ p_k over clients with ⌊m·KL(q_k ‖ p)/ln(classes)⌋ = j",
  up: "its part of A, B: r·(o + i)",
  down: "A, B: m·r·(o + i)",
  papers: ["2404.18848"],
  options: adapterOptions.omit({ rankPattern: true, alphaPattern: true }).extend({
    svd: svdOption,
    /** m: parts of r triplets each. */
    parts: z.int().min(1).max(256).default(2),
  }),
  create(options) {
    const { rank, parts } = options;
    const inner = lowRankAveraging(
      { ...options, rank: rank * parts, alpha: options.alpha * parts },
      { name: "fedkls", initialization: federa(options) },
    );
    const partOf = ({ id, labelDivergence }: Client) => {
      if (labelDivergence === undefined) {
        throw new TypeError(`Cannot choose a part for client ${id}: how its labels diverge isn't known`);
      }
      return Math.min(parts - 1, Math.floor(labelDivergence * parts));
    };
    const rangeOf = (part: number) => [part * rank, (part + 1) * rank] as const;
    const cut = (x: Tensor, { axis, part }: { readonly axis: number; readonly part: number }) => {
      const [start, end] = rangeOf(part);
      return slice(x, { axis, start, end });
    };
    const local: LocalRule = {
      correct(gradients, values, { clients, start }) {
        for (const factor of factorsOf(gradients)) {
          const mask = termMask(factor, clients.map((client) => rangeOf(partOf(client))));
          assign(factor.value, mul(factor.value, mask));
          // Weight decay moves the rest too, which would change what the client's own part learns beside it.
          const value = take(values, factor.name);
          assign(value, where(mask, { then: value, otherwise: take(start, factor.name) }));
        }
      },
      finish(values, { clients }) {
        const upload = new Map(values);
        for (const { name, value, axis } of factorsOf(values)) {
          upload.delete(name);
          const each = clients.map((client, member) =>
            cut(slice(value, { start: member, end: member + 1 }), { axis, part: partOf(client) })
          );
          upload.set(`${name}${PART}`, concat(each));
        }
        return { upload };
      },
    };
    /** A part's mean over those who trained it; as it was where nobody did. */
    const meanOf = ({ name, value, axis }: Factor, part: number, each: readonly Uploads[]): Tensor => {
      const weights = each.map(({ clients, shares }) =>
        shares.map((share, member) => partOf(clients[member]!) === part ? share : 0)
      );
      const total = weights.flat().reduce((sum, weight) => sum + weight, 0);
      if (total === 0) return cut(value, { axis, part });
      return mul(weightedSum(each, `${name}${PART}`, weights), 1 / total);
    };
    return {
      ...inner,
      check(pretrained) {
        try {
          inner.check(pretrained);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          throw new RangeError(
            `Cannot take ${parts} parts of rank ${rank}, which are rank ${
              parts * rank
            } together: ${error.message}; lower parts or rank`,
            { cause: error },
          );
        }
      },
      sees: "each",
      needsLabels: true,
      sendsOtherwise: true,
      plan: (state, round) => ({ ...inner.plan(state, round), local }),
      apply({ global }, { values, each }) {
        const all = Array.from({ length: parts }, (_, part) => part);
        const next = tidy(() =>
          factorsOf(global).map((factor) => {
            const means = () => all.map((part) => meanOf(factor, part, each!));
            return [factor.name, tidy(() => concat(means(), { axis: factor.axis }))] as const;
          })
        );
        const others = [...values].filter(([name]) => !name.endsWith(PART));
        return { global: new Map([...global, ...others, ...next]) };
      },
    };
  },
});
