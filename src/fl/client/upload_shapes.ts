import { type Gpu, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import type { Inputs } from "../../models/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { Held } from "../held.ts";
import type { Client, RoundPlan } from "../method.ts";
import { pick, type Shapes, shapesOf, zeroTensors } from "../tensors.ts";

/**
 * Names and shapes of what a client of a round is asked to send, of the largest rank: what the server refuses others by. Where a local
 * rule changes what goes up, it is rehearsed on one client.
 *
 * @param model the global model at the start of the round.
 * @param options.client any client of the round.
 */
export async function uploadShapes(
  model: TaskModel,
  plan: RoundPlan,
  { client }: { readonly client: Client },
): Promise<Shapes> {
  const { gpu } = model;
  const { trained, shared = trained, local, sent = new Map() } = plan;
  const start = pick(new Map(model.namedParameters()), trained);
  const values = shapesOf(pick(start, shared));
  if (local?.finish === undefined) return values;
  let shapes: Shapes = new Map();
  const zeros = (of: Shapes = new Map()) =>
    zeroTensors(gpu, new Map([...of].map(([name, shape]) => [name, [1, ...shape]])));
  const rehearse = async () => {
    using held = new Held();
    const own = held.hold(zeros(values));
    const known = {
      clients: [client],
      start,
      sent,
      kept: held.hold(zeros(local.keeps)),
      sums: held.hold(zeros(local.sums)),
      prepared: local.observe ? held.hold(tidy(() => local.observe!(model, oneToken(gpu)))) : new Map(),
      step: 0,
      steps: [1],
      optimizer: { name: "sgd" },
      learningRate: 1,
    } as const;
    const prepared = new Map([
      ...known.prepared,
      ...held.hold(await local.prepare?.(own, known) ?? new Map<string, Tensor>()),
    ]);
    const { upload, keep = new Map() } = tidy(() => local.finish!(own, { ...known, prepared }));
    held.hold(upload);
    held.hold(keep);
    held.release(start);
    shapes = new Map([...upload].map(([name, { shape }]) => [name, shape.slice(1)]));
  };
  await (gpu.isRehearsing ? rehearse() : gpu.rehearse(rehearse));
  return shapes;
}

/** One text of one token, for one client. */
function oneToken(gpu: Gpu): Inputs {
  const shape = [1, 1, 1];
  return {
    inputIds: tensor(gpu, new Uint32Array(1), { shape }),
    attentionMask: tensor(gpu, new Float32Array([1]), { shape }),
  };
}
