import { disposeAll, feDeRa, fedIt, type Method, type TaskModel } from "federa";
import type { Settings } from "./alone_calls.ts";

/** The method of some settings: federated methods with a single client are ordinary fine-tuning. */
export function methodOf({ method, rank, alpha }: Pick<Settings, "method" | "rank" | "alpha">): Method {
  return method === "federa" ? feDeRa({ rank, alpha }) : fedIt({ rank, alpha });
}

/** Puts on a pretrained model what is trained, and says what that is. */
export async function startFrom(
  method: Method,
  pretrained: TaskModel,
  seed: number,
): Promise<{ readonly model: TaskModel; readonly trained: readonly string[] }> {
  const { model, state } = await method.init(pretrained, { seed, numClients: 1 });
  const { trained } = method.plan(state, 1);
  const own = new Set([...model.namedParameters()].map(([, parameter]) => parameter));
  disposeAll([...method.parameters(state).values()].filter((parameter) => !own.has(parameter)));
  return { model, trained };
}
