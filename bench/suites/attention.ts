import { backward, type Gpu, selfAttention, sum, type Tensor, tidy } from "../../src/engine/mod.ts";
import type { Row, Suite } from "../contender.ts";
import { randomTensor } from "../inputs.ts";
import { measure } from "../measure.ts";
import { settle } from "../settle.ts";

const heads = 12;
const width = 384;
const shapes = [
  { batch: 16, length: 64 },
  { batch: 4, length: 256 },
  { batch: 1, length: 512 },
];

/** Self-attention of a fused projection. */
export const attentionSuite: Suite = {
  name: "attention",
  title: `self-attention on [B, T, 3·${width}], ${heads} heads`,
  subject: "forward",
  async *rows({ gpu }) {
    for (const shape of shapes) yield await measureAttention(gpu, shape);
  },
};

async function measureAttention(
  gpu: Gpu,
  { batch, length }: typeof shapes[number],
): Promise<Row> {
  using qkv = randomTensor(gpu, [batch, length, 3 * width]).requireGrad();
  using frozen = qkv.detach();
  const attend = (x: Tensor) => selfAttention(x, { heads });
  const run = async (body: () => Tensor | Tensor[]) => {
    for (const each of [tidy(body)].flat()) each.dispose();
    await settle(gpu);
  };
  const samples = await measure([
    { name: "forward", run: () => run(() => attend(frozen)) },
    {
      name: "forward+backward",
      run: () => run(() => backward(sum(attend(qkv)), [qkv])),
    },
  ]);
  // Two products of T×T×D in the forward pass.
  return {
    name: `B ${batch}, T ${length}`,
    samples,
    flops: 4 * batch * length * length * width,
  };
}
