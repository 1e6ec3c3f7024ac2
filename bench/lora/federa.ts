import {
  AdamW,
  assign,
  backward,
  crossEntropy,
  disposeAll,
  emptyPacked,
  type Gpu,
  keep,
  Linear,
  mean,
  type Tensor,
  tensor,
  tidy,
} from "../../src/engine/mod.ts";
import { LowRankLinear } from "../../src/federa/mod.ts";
import { Bert, uploadParameters } from "../../src/models/mod.ts";
import { classification, PooledHead, TaskModel } from "../../src/tasks/mod.ts";
import { settle } from "../settle.ts";
import { type HostArray, type LoraProblem, type LoraStep } from "./problem.ts";

/** The step in this project, which can be recorded without a wait. */
export interface OwnStep extends LoraStep {
  /** Records one step of training on what the last one left. */
  record(): void;
}

/** The step in this project, for one member. */
export function prepareOwnStep(gpu: Gpu, problem: LoraProblem): OwnStep {
  const { config, batch, length, scaling, learningRate, trainable } = problem;
  const upload = ({ data, shape }: HostArray) => tensor(gpu, data, { shape });
  const encoder = new Bert(uploadParameters(gpu, problem.parameters), { config, pooling: "mean" });
  const [weight, bias] = ["weight", "bias"].map((part) => upload(trainable.get(`head.output.${part}`)!));
  const head = new PooledHead(new Linear(weight!, bias));
  const plain = new TaskModel(encoder, head, { task: classification({ labels: ["ham", "spam"] }) });
  const adapted = plain.mapModules((name, module) => {
    const factor = (each: string) => trainable.get(`${name.slice("encoder.".length)}.${each}`);
    const [loraA, loraB] = [factor("loraA"), factor("loraB")];
    if (!(module instanceof Linear) || !loraA || !loraB) return module;
    const { weight, bias } = module;
    return new LowRankLinear({ weight, bias, loraA: upload(loraA), loraB: upload(loraB), scaling });
  });
  const names = [...trainable.keys()];
  const shapes = names.map((name) => [1, ...trainable.get(name)!.shape]);
  const parameters = emptyPacked(gpu, shapes).map((each) => keep(each).requireGrad());
  const gradients = emptyPacked(gpu, shapes).map(keep);
  const values = new Map<string, Tensor>();
  names.forEach((name, i) => {
    values.set(name.startsWith("head.") ? name : `encoder.${name}`, parameters[i]!);
    using value = upload(trainable.get(name)!);
    assign(parameters[i]!, value);
  });
  const model = adapted.mapParameters((name, each) => values.get(name) ?? each);
  const optimizer = new AdamW(parameters);
  const tokens = {
    inputIds: tensor(gpu, problem.ids, { shape: [1, batch, length] }),
    attentionMask: tensor(gpu, problem.mask, { shape: [1, batch, length] }),
  };
  const labels = tensor(gpu, problem.labels, { shape: [1, batch] });
  const step = () =>
    tidy(() => {
      const loss = mean(crossEntropy(model.forward(tokens), labels));
      backward(loss, parameters, { into: gradients });
      optimizer.step(gradients, { learningRate });
      return loss.detach();
    });
  return {
    record: () => step().dispose(),
    run: async () => {
      step().dispose();
      await settle(gpu);
    },
    inspect: async () => {
      using loss = step();
      const found = await Promise.all(gradients.map((each) => each.floats()));
      return {
        loss: await loss.item(),
        gradients: new Map(names.map((name, i) => [name, found[i]!])),
      };
    },
    dispose: () => {
      optimizer.dispose();
      disposeAll([...parameters, ...gradients, labels, ...Object.values(tokens)]);
      disposeAll([...adapted.namedParameters()].map(([, each]) => each));
    },
  };
}
