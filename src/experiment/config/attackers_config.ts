import { z } from "zod";
import { type Attackers, attackKinds } from "../../fl/mod.ts";

/** The share of clients that are hostile, and a kind of attack with its options. */
export interface AttackersConfig {
  readonly kind: string;
  readonly share: number;
  readonly [option: string]: unknown;
}

/** Hostile clients: `{ "share": 0.2, "kind": "sign-flip", "factor": 5 }`. */
export const attackersConfig = z.discriminatedUnion(
  "kind",
  [...attackKinds.values()].map(({ definition: { name, options } }) =>
    options.extend({
      kind: z.literal(name),
      /** Of all clients, rounded to whole ones. */
      share: z.number().gt(0).lt(1),
    })
  ) as unknown as [z.ZodObject<{ kind: z.ZodLiteral<string> }>],
) as unknown as z.ZodType<AttackersConfig, AttackersConfig>;

/** The hostile clients of a configuration. */
export function createAttackers({ kind, share, ...options }: AttackersConfig): Attackers {
  return { share, attack: attackKinds.get(kind)!(options) };
}
