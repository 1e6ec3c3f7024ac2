import type { Linear } from "../../engine/mod.ts";
import { formatShape, sameShape } from "../../engine/mod.ts";
import { DoraLinear } from "../layers/dora_linear.ts";
import { defineKind } from "./adapter_kind.ts";
import { lowRankKind } from "./low_rank.ts";

/** DoRA on a linear layer: what {@linkcode lowRankKind} stores of V = W + s·B·A, and the lengths m [out] of its rows. */
export const doraKind = defineKind({
  name: "dora",
  type: DoraLinear,
  settings: lowRankKind.settings,
  fit: lowRankKind.fit,
  fingerprint: lowRankKind.fingerprint!,
  settingsOf: ({ direction }: DoraLinear) => lowRankKind.settingsOf(direction),
  extras: ({ direction }: DoraLinear) => lowRankKind.extras!(direction),
  derived: ({ direction }: DoraLinear, pretrained) => lowRankKind.derived!(direction, pretrained),
  check(stored) {
    const problem = lowRankKind.check!(stored);
    if (problem !== undefined) return problem;
    const { name, shapes } = stored;
    const [expected, found] = [shapes.get("loraB")!.slice(0, 1), shapes.get("magnitude")];
    if (found === undefined) return `it lacks ${name}.magnitude`;
    return sameShape(expected, found)
      ? undefined
      : `the magnitude of ${name} must be ${formatShape(expected)}, got ${formatShape(found)}`;
  },
  async create(pretrained: Linear, stored) {
    const { weight, bias, loraA, loraB, scaling, initial } = await lowRankKind.create(pretrained, stored);
    const magnitude = stored.tensors.get("magnitude")!;
    return new DoraLinear({ weight, bias, loraA, loraB, scaling, initial, magnitude });
  },
});
