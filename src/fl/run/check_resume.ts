import { formatShape, sameShape, Tensor } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { checkInFlight } from "../asynchrony/in_flight.ts";
import type { FederationOptions } from "./options.ts";
import { type Method, sharedParameters } from "../method.ts";
import type { RunState } from "../run_state.ts";
import { shapesOf, type Tensors, withParameters } from "../tensors.ts";
import type { Tree } from "../tree.ts";

/**
 * Makes sure that a state's rounds and clients are those of a run.
 *
 * @throws {RangeError} naming what isn't.
 */
export function checkProgress(
  { round, lastRounds, clients, inFlight }: RunState,
  { method, rounds, fleet, asynchrony }: Pick<
    FederationOptions,
    "method" | "rounds" | "fleet" | "asynchrony"
  >,
): void {
  const numClients = fleet.numExamples.length;
  const refuse = (problem: string) => {
    throw new RangeError(`Cannot resume ${method.name}: ${problem}`);
  };
  if (lastRounds.length !== numClients) {
    refuse(`the state is of ${lastRounds.length} clients, and there are ${numClients}`);
  }
  if ((inFlight === undefined) !== (asynchrony === undefined)) {
    const [is, isNot] = asynchrony ? ["asynchronous", "a synchronous"] : ["synchronous", "an asynchronous"];
    refuse(`the run is ${is}, and the state of ${isNot} one`);
  }
  const stranger = clients.clients.find((id) => id >= numClients);
  if (stranger !== undefined) {
    refuse(`the state holds what client ${stranger} keeps, and there are ${numClients}`);
  }
  if (round > rounds) refuse(`the state is of round ${round}, and ${rounds} are asked for`);
  const early = lastRounds.findIndex((last) => last < 0 || last > round);
  if (early >= 0) {
    refuse(`client ${early} last took part in round ${lastRounds[early]} of ${round} rounds`);
  }
}

/** What a method begins with. */
export interface MethodStateContext extends Pick<FederationOptions, "method" | "fleet"> {
  readonly model: TaskModel;
  readonly first: Tree;
}

/**
 * Makes sure that a state is one of a method on a model: it is built like the method's first one, and trains the same; and so do the
 * clients in flight.
 *
 * @throws {TypeError} or {RangeError} naming what is otherwise.
 */
export function checkMethodState(state: RunState, { method, fleet, model, first }: MethodStateContext): void {
  const mismatch = mismatchOf(first, state.method, "") ?? trainedMismatch(state, { method, first });
  if (mismatch !== undefined) {
    throw new TypeError(
      `Cannot resume ${method.name}: the state isn't one of this method with these options; ${mismatch}`,
    );
  }
  if (state.inFlight === undefined) return;
  const plan = method.plan(state.method, state.round + 1);
  const global = withParameters(model, method.parameters(state.method));
  checkInFlight(state.inFlight, {
    method: method.name,
    numClients: fleet.numExamples.length,
    version: state.round,
    shapes: shapesOf(sharedParameters(global, plan)),
  });
}

/** Where a tree isn't built like another, if it isn't. Lists may be of any length, and maps may have fewer names. */
function mismatchOf(wanted: Tree, got: Tree, path: string): string | undefined {
  const place = path === "" ? "it" : path.slice(1);
  const [expected, found] = [kindOf(wanted), kindOf(got)];
  if (expected !== found) return `${place} must be ${expected}, got ${found}`;
  if (wanted instanceof Tensor) {
    const { shape } = got as Tensor;
    if (sameShape(wanted.shape, shape)) return undefined;
    return `${place} must have shape ${formatShape(wanted.shape)}, got ${formatShape(shape)}`;
  }
  if (wanted instanceof Map) {
    for (const [name, each] of got as Tensors) {
      const known = (wanted as Tensors).get(name);
      if (known === undefined) return `${place} has ${name}, which this run doesn't know`;
      const mismatch = mismatchOf(known, each, `${path}.${name}`);
      if (mismatch !== undefined) return mismatch;
    }
    return undefined;
  }
  if (expected !== "an object") return undefined;
  const [left, right] = [wanted, got] as [Record<string, Tree>, Record<string, Tree>];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (!Object.hasOwn(right, key)) return `${place} lacks ${key}`;
    if (!Object.hasOwn(left, key)) return `${place} has ${key}, which this run doesn't know`;
    const mismatch = mismatchOf(left[key]!, right[key]!, `${path}.${key}`);
    if (mismatch !== undefined) return mismatch;
  }
  return undefined;
}

function kindOf(tree: Tree): string {
  if (tree === null) return "null";
  if (tree instanceof Tensor) return "a tensor";
  if (tree instanceof Float32Array) return "an array";
  if (tree instanceof Map) return "a map of tensors";
  if (Array.isArray(tree)) return "a list";
  return typeof tree === "object" ? "an object" : `a ${typeof tree}`;
}

/** A map may have fewer names only where the method has dropped them: what the next round trains tells. */
function trainedMismatch(
  { round, method: state }: RunState,
  { method, first }: { readonly method: Method; readonly first: Tree },
): string | undefined {
  const [wanted, got] = [first, state].map((each) => method.plan(each, round + 1).trained);
  const missing = wanted!.find((name) => !got!.includes(name));
  return missing === undefined ? undefined : `it has no ${missing}, which is trained`;
}
