import { backward, type Gpu, layerNorm, ones, sum, type Tensor, tidy, zeros } from "../../src/engine/mod.ts";
import type { Row, Suite } from "../contender.ts";
import { randomTensor } from "../inputs.ts";
import { measure } from "../measure.ts";
import { settle } from "../settle.ts";

const shapes = [
  { rows: 1024, columns: 384 },
  { rows: 512, columns: 512 },
  { rows: 4096, columns: 768 },
];

/**
 * Layer normalisation; the backward pass gives the gradients of x alone, as under frozen parameters, or of x, γ and β. It
 * starts from the sum of the result, which is measured with it.
 */
export const layerNormSuite: Suite = {
  name: "layer_norm",
  title: "layer normalisation of [rows, columns]",
  subject: "forward",
  async *rows({ gpu }) {
    for (const shape of shapes) yield await measureLayerNorm(gpu, shape);
  },
};

async function measureLayerNorm(
  gpu: Gpu,
  { rows, columns }: typeof shapes[number],
): Promise<Row> {
  using x = randomTensor(gpu, [rows, columns]).requireGrad();
  using weight = ones(gpu, [columns]).requireGrad();
  using bias = zeros(gpu, [columns]).requireGrad();
  const frozen = [x, weight, bias].map((each) => each.detach()) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const normalize = ([x, weight, bias]: [Tensor, Tensor, Tensor]) => layerNorm(x, { weight, bias });
  const run = async (body: () => Tensor | Tensor[]) => {
    for (const each of [tidy(body)].flat()) each.dispose();
    await settle(gpu);
  };
  try {
    const samples = await measure([
      { name: "forward", run: () => run(() => normalize(frozen)) },
      {
        name: "forward+backward of x",
        run: () => run(() => backward(sum(normalize([x, frozen[1], frozen[2]])), [x])),
      },
      {
        name: "forward+backward",
        run: () => run(() => backward(sum(normalize([x, weight, bias])), [x, weight, bias])),
      },
    ]);
    return { name: `[${rows}, ${columns}]`, samples };
  } finally {
    for (const each of frozen) each.dispose();
  }
}
