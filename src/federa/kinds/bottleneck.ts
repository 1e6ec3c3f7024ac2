import { z } from "zod";
import { formatShape, Linear, sameShape } from "../../engine/mod.ts";
import { BottleneckLinear } from "../layers/bottleneck_linear.ts";
import { defineKind } from "./adapter_kind.ts";

const names = ["down.weight", "down.bias", "up.weight", "up.bias"] as const;

/** A bottleneck adapter on the result of a linear layer, which nothing else than this package loads: PEFT has none of this kind. */
export const bottleneckKind = defineKind({
  name: "bottleneck",
  type: BottleneckLinear,
  settings: z.strictObject({ size: z.int().positive() }),
  settingsOf: ({ size }) => ({ size }),
  check({ name, settings: { size }, shapes }) {
    const missing = names.filter((each) => !shapes.has(each));
    if (missing.length > 0) return `it lacks ${missing.map((each) => `${name}.${each}`).join(", ")}`;
    const [width = 0] = shapes.get("up.bias")!;
    const expected = [[size, width], [size], [width, size], [width]];
    const wrong = names.findIndex((each, i) => !sameShape(shapes.get(each)!, expected[i]!));
    return wrong < 0
      ? undefined
      : `${name}.${names[wrong]} must be ${formatShape(expected[wrong]!)}, got ${
        formatShape(shapes.get(names[wrong]!)!)
      }`;
  },
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof Linear)) return `it has no linear layer ${name}`;
    const [expected, found] = [shapes.get("up.bias")![0], pretrained.weight.shape[0]];
    return expected === found ? undefined : `the result of ${name} must be ${expected} wide, got ${found}`;
  },
  create(pretrained, { tensors }) {
    const { weight, bias } = pretrained as Linear;
    const linear = (part: string) => new Linear(tensors.get(`${part}.weight`)!, tensors.get(`${part}.bias`)!);
    return new BottleneckLinear({ weight, bias, down: linear("down"), up: linear("up") });
  },
});
