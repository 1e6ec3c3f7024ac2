import { z } from "zod";
import {
  addWeighted,
  assign,
  concat,
  mul,
  slice,
  type Tensor,
  tensor,
  tidy,
  where,
  zeros,
} from "../../../engine/mod.ts";
import { federa } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import type { Client, LocalRule } from "../../method.ts";
import { take, type Tensors } from "../../tensors.ts";
import { adapterOptions, svdOption } from "../parts/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { layersOf } from "../parts/layer_names.ts";
import { lowRankAveraging } from "../parts/low_rank.ts";

/** By what names a client's part of a factor is sent. */
const PART = ".part";
/** The axis of a factor [..., R, i] or [..., o, R] that has the terms, from the end. */
const factors = { loraA: -2, loraB: -1 } as const;

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
    const cut = (x: Tensor, { axis, part }: { readonly axis: number; readonly part: number }) =>
      slice(x, { axis: x.ndim + axis, start: part * rank, end: (part + 1) * rank });
    const local: LocalRule = {
      correct(gradients, values, { clients, start }) {
        for (const [name, axis] of factorsOf(gradients)) {
          const own = take(gradients, name);
          // 1 where the terms are the client's, [C, R, 1] or [C, 1, R].
          const mask = tensor(
            own.gpu,
            Float32Array.from(
              clients.flatMap((client) =>
                Array.from(
                  { length: parts * rank },
                  (_, term) => Math.floor(term / rank) === partOf(client) ? 1 : 0,
                )
              ),
            ),
            { shape: axis === -2 ? [clients.length, parts * rank, 1] : [clients.length, 1, parts * rank] },
          );
          assign(own, mul(own, mask));
          // Weight decay moves the rest too, which would change what the client's own part learns beside it.
          const value = take(values, name);
          assign(value, where(mask, { then: value, otherwise: take(start, name) }));
        }
      },
      finish(values, { clients }) {
        const upload = new Map(values);
        for (const [name, axis] of factorsOf(values)) {
          const value = take(values, name);
          upload.delete(name);
          const each = clients.map((client, member) =>
            cut(slice(value, { start: member, end: member + 1 }), { axis, part: partOf(client) })
          );
          upload.set(`${name}${PART}`, concat(each));
        }
        return { upload };
      },
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
        using held = new Held();
        const next = new Map<string, Tensor>();
        for (const layer of layersOf(global)) {
          for (const [factor, axis] of Object.entries(factors)) {
            const name = `${layer}.${factor}`;
            const before = take(global, name);
            next.set(
              name,
              held.hold(tidy(() =>
                concat(
                  Array.from({ length: parts }, (_, part) => {
                    const old = cut(before, { axis, part });
                    const mean = zeros(before.gpu, old.shape);
                    let total = 0;
                    for (const { clients, shares, values } of each!) {
                      const own = clients.map((client, k) => partOf(client) === part ? shares[k]! : 0);
                      for (const share of own) total += share;
                      addWeighted(mean, take(values, `${name}${PART}`), tensor(before.gpu, own));
                    }
                    return total > 0 ? mul(mean, 1 / total) : old;
                  }),
                  { axis: before.ndim + axis },
                )
              )),
            );
          }
        }
        held.release(next);
        const others = [...values].filter(([name]) => !name.endsWith(PART));
        return { global: new Map([...global, ...others, ...next]) };
      },
    };
  },
});

/** The factors among tensors, with the axis of their terms. */
function factorsOf(tensors: Tensors): [string, number][] {
  return [...tensors.keys()].flatMap((name): [string, number][] => {
    const axis = factors[name.slice(name.lastIndexOf(".") + 1) as keyof typeof factors];
    return axis === undefined ? [] : [[name, axis]];
  });
}
