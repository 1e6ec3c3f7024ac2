import { z } from "zod";
import { reshape, tensor } from "../../engine/mod.ts";
import { defineAttack } from "./define_attack.ts";

/** Uploads of which the first tensor is NaN or infinite throughout; the server refuses them by name. */
export const nonFinite = defineAttack({
  name: "non-finite",
  summary: "send NaN, or infinity",
  options: z.strictObject({ value: z.enum(["nan", "infinity"]).default("nan") }),
  create: ({ value }) => ({
    upload(honest) {
      const [first] = honest;
      if (first === undefined) return honest;
      const [name, { gpu, shape, size }] = first;
      const bad = new Float32Array(size).fill(value === "nan" ? NaN : Infinity);
      return new Map([...honest, [name, tensor(gpu, bad, { shape })]]);
    },
  }),
});

/** Uploads of which the first tensor has another shape; the server refuses them by name. */
export const wrongShape = defineAttack({
  name: "wrong-shape",
  summary: "send a tensor of another shape",
  options: z.strictObject({}),
  create: () => ({
    garble(values) {
      const [first] = values;
      if (first === undefined) return values;
      const [name, value] = first;
      return new Map([...values, [name, reshape(value, [...value.shape, 1])]]);
    },
  }),
});

/** Uploads of which the first tensor has another name; the server refuses them by name. */
export const wrongNames = defineAttack({
  name: "wrong-names",
  summary: "send a tensor by another name",
  options: z.strictObject({}),
  create: () => ({
    garble: (values) =>
      new Map([...values].map(([name, value], i) => [i === 0 ? `${name}.renamed` : name, value])),
  }),
});
