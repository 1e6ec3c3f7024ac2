import { z } from "zod";
import { type AsynchronyInput, type AsynchronyOptions, asynchronySchema } from "../../fl/mod.ts";

/** The choice of an asynchronous server: `{ "kind": "fedbuff", "bufferSize": 5 }`, or `false` for none. */
export const asynchronyConfig = z.preprocess(
  (value) => value === false ? { kind: "none" } : value,
  z.discriminatedUnion("kind", [z.strictObject({ kind: z.literal("none") }), ...asynchronySchema.options]),
).transform((value) => value.kind === "none" ? false : value) as unknown as z.ZodType<
  false | AsynchronyOptions,
  false | AsynchronyInput
>;

/** The options of an entry of `methods`, or those of all. */
export function chooseAsynchrony(
  own: false | AsynchronyOptions | undefined,
  common: false | AsynchronyOptions | undefined,
): AsynchronyOptions | undefined {
  return (own ?? common) || undefined;
}
