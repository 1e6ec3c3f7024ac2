import { z } from "zod";
import { formatShape, Linear, sameShape } from "../../engine/mod.ts";
import { PstLinear } from "../layers/pst_linear.ts";
import { defineKind } from "./adapter_kind.ts";

const names = ["changeA", "changeB", "scoreA", "scoreB", "rowScore", "columnScore"] as const;

/** A linear layer that was pruned while it was tuned, which nothing else than this package loads; it can be merged. */
export const pstKind = defineKind({
  name: "pst",
  type: PstLinear,
  settings: z.strictObject({ scaling: z.number().positive(), kept: z.int().positive() }),
  settingsOf: ({ scaling, kept }) => ({ scaling, kept }),
  check({ name, settings: { kept }, shapes }) {
    const missing = names.filter((each) => !shapes.has(each));
    if (missing.length > 0) return `it lacks ${missing.map((each) => `${name}.${each}`).join(", ")}`;
    const [[out = 0] = [], [width = 0] = []] = [shapes.get("rowScore"), shapes.get("columnScore")];
    const [rank = 0] = shapes.get("changeA")!;
    const expected = [[rank, width], [out, rank], [rank, width], [out, rank], [out], [width]];
    const wrong = names.findIndex((each, i) => !sameShape(shapes.get(each)!, expected[i]!));
    if (wrong >= 0) {
      return `${name}.${names[wrong]} must be ${formatShape(expected[wrong]!)}, got ${
        formatShape(shapes.get(names[wrong]!)!)
      }`;
    }
    return kept <= out * width ? undefined : `${name} keeps ${kept} of ${out * width} entries`;
  },
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof Linear)) return `it has no linear layer ${name}`;
    const expected = [shapes.get("rowScore")![0]!, shapes.get("columnScore")![0]!];
    return sameShape(expected, pretrained.weight.shape)
      ? undefined
      : `the weight of ${name} must be ${formatShape(expected)}, got ${formatShape(pretrained.weight.shape)}`;
  },
  create(pretrained, { settings, tensors }) {
    const { weight, bias } = pretrained as Linear;
    const part = (name: typeof names[number]) => tensors.get(name)!;
    return new PstLinear({
      weight,
      bias,
      ...settings,
      changeA: part("changeA"),
      changeB: part("changeB"),
      scoreA: part("scoreA"),
      scoreB: part("scoreB"),
      rowScore: part("rowScore"),
      columnScore: part("columnScore"),
    });
  },
});
