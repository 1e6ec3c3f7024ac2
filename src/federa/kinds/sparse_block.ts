import { z } from "zod";
import { formatShape, Linear, sameShape } from "../../engine/mod.ts";
import { blockGrid, SparseBlockLinear } from "../layers/sparse_block_linear.ts";
import { defineKind } from "./adapter_kind.ts";

const names = ["blocks", "blockRows", "blockColumns"] as const;

/** Some dense blocks of a weight, which nothing else than this package loads; merged, it is an ordinary layer. */
export const sparseBlockKind = defineKind({
  name: "sparse-block",
  type: SparseBlockLinear,
  settings: z.strictObject({}),
  settingsOf: () => ({}),
  check({ name, shapes }) {
    const missing = names.filter((each) => !shapes.has(each));
    if (missing.length > 0) return `it lacks ${missing.map((each) => `${name}.${each}`).join(", ")}`;
    const [count = 0, size = 0] = shapes.get("blocks")!;
    const wanted = [[count, size, size], [shapes.get("blockRows")![0], count], [
      count,
      shapes.get("blockColumns")![1],
    ]];
    const wrong = names.findIndex((each, i) => shapes.get(each)!.join() !== wanted[i]!.join());
    return wrong < 0
      ? undefined
      : `${name}.${names[wrong]} must be ${formatShape(wanted[wrong] as number[])}, got ${
        formatShape(shapes.get(names[wrong]!)!)
      }`;
  },
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof Linear)) return `it has no linear layer ${name}`;
    const expected = blockGrid(pretrained.weight.shape, shapes.get("blocks")![1]!);
    const found = [shapes.get("blockRows")![0]!, shapes.get("blockColumns")![1]!];
    return sameShape(expected, found)
      ? undefined
      : `the weight of ${name} must have a grid of ${formatShape(found)} blocks, got ${
        formatShape(expected)
      }`;
  },
  create(pretrained, { tensors }) {
    const { weight, bias } = pretrained as Linear;
    const [blocks, blockRows, blockColumns] = names.map((each) => tensors.get(each)!);
    return new SparseBlockLinear({
      weight,
      bias,
      blocks: blocks!,
      blockRows: blockRows!,
      blockColumns: blockColumns!,
    });
  },
});
