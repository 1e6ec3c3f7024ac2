import { createRequire } from "node:module";
import { type Gpu, matmul, tensor } from "../../src/engine/mod.ts";
import { settle } from "../settle.ts";
import { type Peer, storedShapes } from "./peer.ts";

/** This project. */
export function federaPeer(gpu: Gpu): Peer {
  const { version } = createRequire(import.meta.url)("../../package.json") as {
    version: string;
  };
  return {
    name: "federa",
    version,
    adapter: gpu.adapter.description,
    prepare: (product, operands) => {
      const { transposeA = false, transposeB = false } = product;
      const shapes = storedShapes(product);
      const a = tensor(gpu, operands.a, { shape: shapes.a });
      const b = tensor(gpu, operands.b, { shape: shapes.b });
      return {
        run: async () => {
          using _product = matmul(a, b, { transposeA, transposeB });
          await settle(gpu);
        },
        result: async () => {
          using c = matmul(a, b, { transposeA, transposeB });
          return await c.floats();
        },
        dispose: () => [a, b].forEach((each) => each.dispose()),
      };
    },
  };
}
