import { Tensor } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { type Client, type RoundPlan, sharedParameters } from "../method.ts";
import { disposeTensors, type HostTensor, type HostTensors, type Shapes, shapesOf } from "../tensors.ts";
import { fitTo } from "../transport/fit.ts";
import { shapesOfRank } from "./ranks.ts";

/** The shapes of what a client downloads at the start of a round, by name. */
export function downloadShapes(model: TaskModel, plan: RoundPlan, client: Client): Shapes {
  const { ranks, download, sent = new Map<string, Tensor>() } = plan;
  if (download !== undefined) return shapesOf(download(client));
  const shapes = shapesOf(sharedParameters(model, plan));
  return new Map([...ranks ? shapesOfRank(shapes, ranks.of(client.id)) : shapes, ...shapesOf(sent)]);
}

/** What a client downloads at the start of a round, by name, of its own rank. */
export async function readDownload(
  model: TaskModel,
  plan: RoundPlan,
  client: Client,
): Promise<HostTensors> {
  const own = plan.download === undefined ? plan.start?.(client) : undefined;
  try {
    const values = plan.download?.(client) ??
      new Map<string, Tensor | HostTensor>([...own ?? sharedParameters(model, plan), ...plan.sent ?? []]);
    const shapes = downloadShapes(model, plan, client);
    const read = [...values].map(async ([name, value]) =>
      [name, fitTo(shapes.get(name)!, await onHost(value))] as const
    );
    return new Map(await Promise.all(read));
  } finally {
    if (own !== undefined) disposeTensors(own);
  }
}

async function onHost(value: Tensor | HostTensor): Promise<HostTensor> {
  return value instanceof Tensor ? { shape: value.shape, data: await value.floats() } : value;
}
