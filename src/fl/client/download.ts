import type { Tensor } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { Client, RoundPlan } from "../method.ts";
import { type HostTensor, pick } from "../tensors.ts";

/** What a client downloads at the start of a round, by name. */
export function downloadOf(
  model: TaskModel,
  plan: RoundPlan,
  client: Client,
): ReadonlyMap<string, Tensor | HostTensor> {
  const { trained, shared = trained, sent = new Map() } = plan;
  return plan.download?.(client) ?? new Map([...pick(new Map(model.namedParameters()), shared), ...sent]);
}
