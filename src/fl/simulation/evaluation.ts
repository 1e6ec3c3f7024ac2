import { disposeAll, tensor } from "../../engine/mod.ts";
import {
  evaluate,
  type Evaluation,
  rehearseModel,
  type Scores,
  type TaskModel,
  type TaskSet,
} from "../../tasks/mod.ts";
import { spreadOf } from "../client/client_scores.ts";
import type { ClientStore } from "../client/client_store.ts";
import type { FederationEvaluation } from "../events.ts";
import type { EvaluationContext } from "../federate.ts";
import { type Tensors, withParameters } from "../tensors.ts";

/** Options of {@linkcode evaluateSimulation}. */
export interface EvaluateSimulationOptions extends Pick<EvaluationContext, "clients" | "onProgress"> {
  /** For all. */
  readonly test: TaskSet;
  /** Of each client's own. */
  readonly testClients?: readonly (TaskSet | undefined)[] | undefined;
}

/**
 * Evaluates a global model on the common test set, and by client where clients have test data of their own.
 *
 * Once clients keep parameters of their own, each one's model is the global one with these, and it is the clients' models that are
 * evaluated: on their own test data, or else on the common test set. `test` is then the mean over clients.
 */
export async function evaluateSimulation(
  model: TaskModel,
  { test, testClients, clients: store, onProgress }: EvaluateSimulationOptions,
): Promise<FederationEvaluation> {
  if (model.gpu.isRehearsing) {
    rehearseModel(model, [test, ...testClients?.filter((set) => set !== undefined) ?? []]);
    return { test: null };
  }
  const names = new Set([...model.namedParameters()].map(([name]) => name));
  const owners = await ownersOf(store, names);
  const isPersonal = owners.length > 0;
  const given = testClients?.flatMap((set, client) => set === undefined ? [] : [{ client, set }]) ?? [];
  const own = given.length === 0 && isPersonal ? owners.map((client) => ({ client, set: test })) : given;
  const sets = [...isPersonal ? [] : [test], ...own.map(({ set }) => set)];
  const total = sets.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  const run = async (each: TaskModel, set: TaskSet) => {
    const evaluation = await evaluate(each, set, { onProgress: (done) => onProgress(before + done, total) });
    before += set.size;
    return evaluation;
  };
  const common = isPersonal ? undefined : await run(model, test);
  const evaluations: Evaluation[] = [];
  for (const { client, set } of own) {
    const personal = await personalOf(model, store, { client, names });
    try {
      evaluations.push(await run(withParameters(model, personal), set));
    } finally {
      disposeAll(personal.values());
    }
  }
  return {
    test: common ?? meanEvaluation(evaluations),
    ...(evaluations.length > 0 && { clients: spreadOf(evaluations, model.task) }),
  };
}

/** Clients that keep parameters of the model, and not just what a local rule remembers. */
async function ownersOf(store: ClientStore, names: ReadonlySet<string>): Promise<number[]> {
  const owners: number[] = [];
  // One at a time: a store on disk holds no more.
  for (const client of store.clients) {
    const kept = await store.load(client);
    if (kept !== undefined && [...kept.keys()].some((name) => names.has(name))) owners.push(client);
  }
  return owners;
}

async function personalOf(
  { gpu }: TaskModel,
  store: ClientStore,
  { client, names }: { readonly client: number; readonly names: ReadonlySet<string> },
): Promise<Tensors> {
  const kept = [...await store.load(client) ?? []].filter(([name]) => names.has(name));
  return new Map(kept.map(([name, { data, shape }]) => [name, tensor(gpu, data, { shape })]));
}

/** Means over clients; a score that has no meaning for some is that of the others. */
export function meanEvaluation(evaluations: readonly Evaluation[]): Evaluation {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const names = new Set(evaluations.flatMap(({ scores }) => Object.keys(scores)));
  const scores: Scores = Object.fromEntries(
    [...names].map((name) => [name, mean(evaluations.flatMap(({ scores }) => scores[name] ?? []))]),
  );
  return { loss: mean(evaluations.map(({ loss }) => loss)), scores };
}
