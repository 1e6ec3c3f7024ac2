import {
  AdamW,
  backward,
  broadcastTo,
  crossEntropy,
  type Gpu,
  mean,
  reshape,
  type Tensor,
  tensor,
  tidy,
} from "../../src/engine/mod.ts";
import type { Contender, Suite } from "../contender.ts";
import { measure } from "../measure.ts";
import { type BenchModel, createEncoder, createModel, randomTexts } from "../model.ts";
import { settle } from "../settle.ts";

const batch = 16;
const length = 32;
const learningRate = 1e-4;

/** One step of training the encoder: forward, backward and AdamW. */
export const loraStepSuite: Suite = {
  name: "lora_step",
  title: "one training step of Universal Sentence Encoder lite, LoRA of rank 8 on its attention, AdamW",
  subject: "LoRA step",
  async *rows({ gpu }) {
    const { encoder, weights } = await createEncoder(gpu);
    const lora = await createModel(gpu, encoder, "lora");
    const full = await createModel(gpu, encoder, "full");
    const steps = [
      createStep(gpu, "LoRA step", lora),
      createStep(gpu, "full step", full),
    ];
    yield {
      name: `B ${batch}, T ${length}`,
      samples: await measure(steps),
      note: weights,
    };
    for (const each of steps) each.dispose();
  },
};

function createStep(
  gpu: Gpu,
  name: string,
  { model, trainable }: BenchModel,
): Contender & { dispose(): void } {
  const texts = randomTexts(batch, length);
  const inputs = {
    ids: tensor(gpu, texts.ids, { shape: [1, batch, length] }),
    mask: tensor(gpu, texts.mask, { shape: [1, batch, length] }),
  };
  const labels = tensor(gpu, texts.labels, { shape: [1, batch] });
  const values = new Map(
    [...trainable].map(([key, value]) => [key, asClient(value)]),
  );
  const parameters = [...values.values()];
  const bound = model.mapParameters((key, parameter) => values.get(key) ?? parameter);
  const optimizer = new AdamW(parameters);
  return {
    name,
    run: async () => {
      tidy(() => {
        const loss = mean(crossEntropy(bound.forward(inputs), labels));
        optimizer.step(backward(loss, parameters), { learningRate });
      });
      await settle(gpu);
    },
    dispose: () => {
      optimizer.dispose();
      for (const each of [...parameters, labels, inputs.ids, inputs.mask]) {
        each.dispose();
      }
    },
  };
}

/** A copy with a client axis of one. */
function asClient(value: Tensor): Tensor {
  return tidy(() =>
    broadcastTo(reshape(value.detach(), [1, ...value.shape]), [
      1,
      ...value.shape,
    ])
  )
    .requireGrad();
}
