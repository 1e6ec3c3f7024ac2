import {
  div,
  type Gpu,
  matmul,
  mul,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
} from "../../src/engine/mod.ts";
import { jacobiSvd, randomizedSvd, type Svd } from "../../src/engine/linalg/mod.ts";
import type { Row, Suite } from "../contender.ts";
import { randomTensor } from "../inputs.ts";
import { measure } from "../measure.ts";

const rank = 16;
const shapes = [[128, 128], [256, 256], [384, 384]] as const;

/** Singular value decompositions of random matrices. */
export const svdSuite: Suite = {
  name: "svd",
  title: `randomized SVD of rank ${rank}, and the exact one by Jacobi rotations`,
  subject: `rank ${rank}`,
  async *rows({ gpu }) {
    for (const shape of shapes) yield await measureSvd(gpu, shape);
  },
};

async function measureSvd(
  gpu: Gpu,
  shape: readonly [number, number],
): Promise<Row> {
  using a = randomTensor(gpu, shape);
  const exact = () => jacobiSvd(a);
  const { sweeps, ...factors } = await exact();
  const error = await relativeError(a, factors);
  release(factors);
  const run = (decompose: () => Promise<Svd>) => async () => release(await decompose());
  const samples = await measure([
    { name: `rank ${rank}`, run: run(() => randomizedSvd(a, { rank })) },
    { name: "exact", run: run(exact) },
  ]);
  return {
    name: `[${shape.join(", ")}]`,
    samples,
    note: `exact: ${sweeps} sweeps, ‖A − U·S·Vᵀ‖/‖A‖ ${error.toExponential(1)}`,
  };
}

async function relativeError(
  a: Tensor,
  { u, s, vt }: Pick<Svd, "u" | "s" | "vt">,
): Promise<number> {
  using ratio = tidy(() => {
    const norm = (x: Tensor) => sqrt(sum(square(x)));
    return div(norm(sub(a, matmul(mul(u, s), vt))), norm(a));
  });
  return await ratio.item();
}

/** Every decomposition reads back at its end, so there is nothing to wait for. */
function release({ u, s, vt }: Pick<Svd, "u" | "s" | "vt">): void {
  for (const each of [u, s, vt]) each.dispose();
}
