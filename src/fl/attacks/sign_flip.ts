import { z } from "zod";
import { mul } from "../../engine/mod.ts";
import { withChanges } from "./_changes.ts";
import { defineAttack } from "./define_attack.ts";

const factor = (initial: number) => z.number().gt(0).max(1e30).default(initial);

/** Sign flipping: x − factor·(y − x), the own change turned around. With a share α of attackers the mean turns around at (1 − α)/α. */
export const signFlip = defineAttack({
  name: "sign-flip",
  summary: "send their change turned around, times `factor`",
  options: z.strictObject({ factor: factor(1) }),
  create: ({ factor }) => ({
    upload: (honest, { start }) => withChanges(honest, start, (change) => mul(change, -factor)),
  }),
});

/** Boosting: x + factor·(y − x), the own change blown up (model replacement, Bagdasaryan et al., arXiv 1807.00459). */
export const scaled = defineAttack({
  name: "scaled",
  summary: "send their change times `factor`",
  papers: ["1807.00459"],
  options: z.strictObject({ factor: factor(10) }),
  create: ({ factor }) => ({
    upload: (honest, { start }) => withChanges(honest, start, (change) => mul(change, factor)),
  }),
});
