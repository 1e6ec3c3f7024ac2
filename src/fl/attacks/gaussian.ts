import { z } from "zod";
import { randomKey, RandomStream, tensor } from "../../engine/mod.ts";
import { withChanges } from "./_changes.ts";
import { defineAttack } from "./define_attack.ts";

/** Noise in place of a change: x + N(0, deviation²), drawn by seed, round, client and name (Blanchard et al., arXiv 1703.02757). */
export const gaussianNoise = defineAttack({
  name: "gaussian",
  summary: "send noise of a standard deviation of `deviation` in place of a change",
  papers: ["1703.02757"],
  options: z.strictObject({ deviation: z.number().gt(0).max(1e30).default(1) }),
  create: ({ deviation }) => ({
    upload: (honest, { start, clients, seed, round }) =>
      withChanges(honest, start, ({ gpu, shape, size }, name) => {
        const values = new Float32Array(size);
        const own = size / clients.length;
        if (!gpu.isRehearsing) {
          clients.forEach(({ id }, member) => {
            const stream = new RandomStream(randomKey(seed, "gaussian attack", round, id, name));
            for (let i = 0; i < own; i++) values[member * own + i] = deviation * stream.normal();
          });
        }
        return tensor(gpu, values, { shape });
      }),
  }),
});
