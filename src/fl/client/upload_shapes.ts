import { tidy } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { RoundPlan } from "../method.ts";
import { pick, type Shapes, shapesOf, zeroTensors } from "../tensors.ts";

/**
 * Names and shapes of what a client of a round is asked to send, of the largest rank: what the server refuses others by. Where a local
 * rule changes what goes up, it is rehearsed on one client.
 *
 * @param model the global model at the start of the round.
 */
export function uploadShapes(model: TaskModel, plan: RoundPlan): Shapes {
  const { gpu } = model;
  const { trained, shared = trained, local, sent = new Map() } = plan;
  const start = pick(new Map(model.namedParameters()), trained);
  const values = shapesOf(pick(start, shared));
  if (local?.finish === undefined) return values;
  let shapes: Shapes = new Map();
  const rehearse = () =>
    tidy(() => {
      const zeros = (of: Shapes = new Map()) =>
        zeroTensors(gpu, new Map([...of].map(([name, shape]) => [name, [1, ...shape]])));
      const { upload } = local.finish!(zeros(values), {
        clients: [{ id: 0, numExamples: 1, lastRound: 0 }],
        start,
        sent,
        kept: zeros(local.keeps),
        sums: zeros(local.sums),
        steps: [1],
        optimizer: { name: "sgd" },
        learningRate: 1,
      });
      shapes = new Map([...upload].map(([name, { shape }]) => [name, shape.slice(1)]));
    });
  if (gpu.isRehearsing) rehearse();
  else gpu.rehearse(rehearse);
  return shapes;
}
