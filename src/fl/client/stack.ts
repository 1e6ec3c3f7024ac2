import { concat, keep, reshape, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import type { Client, RoundPlan } from "../method.ts";
import { disposeTensors, type HostTensors, take, type Tensors } from "../tensors.ts";

/**
 * Where clients start that don't all start alike, [C, ...] by name; empty where the plan has nothing to say. The caller disposes
 * them.
 *
 * @param options.global the global values of what is shared.
 */
export function stackStarts(
  plan: RoundPlan,
  { clients, global }: { readonly clients: readonly Client[]; readonly global: Tensors },
): Tensors {
  if (plan.start === undefined) return new Map();
  const each = clients.map((client) => plan.start!(client));
  try {
    return new Map(
      [...global.keys()].map((name) => [name, keep(tidy(() => stack(each.map((own) => take(own, name)))))]),
    );
  } finally {
    for (const own of each) disposeTensors(own);
  }
}

/**
 * What clients kept, [C, ...] by name; for those that have nothing yet, what they begin with. The caller disposes them.
 *
 * @param begin [...] by name: what is asked for.
 */
export async function stackKept(
  kept: readonly (HostTensors | undefined)[],
  begin: Tensors,
): Promise<Tensors> {
  const stacked = [...begin].map(async ([name, first]) => {
    const { gpu, shape, size } = first;
    const own = kept.map((each) => each?.get(name)?.data);
    const initial = own.includes(undefined) ? await first.floats() : undefined;
    const all = new Float32Array(kept.length * size);
    own.forEach((values, member) => all.set(values ?? initial!, member * size));
    return [name, tensor(gpu, all, { shape: [kept.length, ...shape] })] as const;
  });
  return new Map(await Promise.all(stacked));
}

function stack(members: readonly Tensor[]): Tensor {
  return concat(members.map((each) => reshape(each, [1, ...each.shape])));
}
