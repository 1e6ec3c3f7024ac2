import { clone, slice, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import { LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { Held } from "../held.ts";
import type { Client, RoundPlan } from "../method.ts";
import { withParameters } from "../tensors.ts";
import type { ClientStore } from "./client_store.ts";

/** Options of {@linkcode clientModel}. */
export interface ClientModelOptions {
  /** The plan of the next round. */
  readonly plan: RoundPlan;
  readonly store: ClientStore;
  readonly client: Client;
}

/**
 * The model that a client has: the global one with what the client keeps of its own, and where ranks differ the adapters of its own rank
 * and scale. Its tensors that aren't the global model's are the caller's to free.
 */
export async function clientModel(
  global: TaskModel,
  { plan, store, client }: ClientModelOptions,
): Promise<TaskModel> {
  using held = new Held();
  const { ranks, start } = plan;
  const { gpu } = global;
  const names = new Set([...global.namedParameters()].map(([name]) => name));
  const kept = [...await store.load(client.id) ?? []].filter(([name]) => names.has(name));
  const values = held.hold(
    new Map([
      ...start?.(client) ?? [],
      ...kept.map(([name, { data, shape }]) => [name, tensor(gpu, data, { shape })] as const),
    ]),
  );
  const whole = withParameters(global, values);
  const own = ranks === undefined
    ? whole
    : whole.mapModules((_, module) =>
      module instanceof LowRankLinear
        ? new LowRankLinear({
          ...module,
          scaling: ranks.scaling(client.id),
          loraA: part(module.loraA, 0, ranks.of(client.id)),
          loraB: part(module.loraB, 1, ranks.of(client.id)),
        })
        : module
    );
  held.release([...own.namedParameters()].map(([, parameter]) => parameter));
  return own;
}

function part(x: Tensor, axis: number, end: number): Tensor {
  return tidy(() => clone(slice(x, { axis, start: 0, end })));
}
