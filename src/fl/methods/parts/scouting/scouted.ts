import { adaptedLinears } from "../../../../federa/mod.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import { type InitContext, isHead, type Method, trainableParameters } from "../../../method.ts";
import { type Tensors, updated } from "../../../tensors.ts";
import { type AdapterOptions, checkAdaptedWeights } from "../adapters/adapter_options.ts";
import { afterFirstRound } from "./first_round.ts";
import { type LayerParts, nameParts, takeParts } from "../adapters/layer_parts.ts";
import { type Observation, observed, scoutingPlan, unsoundByScouting } from "./scouting.ts";

/** The state of a method of {@linkcode scouted}. */
export type Scouted = {
  /** Values of the head. */
  readonly head: Tensors;
  /** Parameters of the layers, and what else `start` gave; what stands in their place until then. */
  readonly layers: readonly LayerParts[];
  /** Shapes [out, in] of the layers' weights, in model order. */
  readonly weights: { readonly [layer: string]: readonly number[] };
  readonly hasStarted: boolean;
  readonly seed: number;
};

/** Options of {@linkcode scouted}. */
export interface ScoutedOptions {
  readonly name: string;
  /** What the first round is for, as a clause: "which chooses the blocks". */
  readonly purpose: string;
  /** Why it isn't sound with asynchrony, and what would do. */
  readonly asynchrony: string;
  /** Puts the layers on a model, with an update of zero. */
  attach(pretrained: TaskModel, context: InitContext): Promise<TaskModel>;
  /** What is observed of the gradients of weights; these themselves by default. */
  readonly observation?: Observation;
  /** The parts of a layer that are trained once it has started. */
  readonly trained: readonly string[];
  /** Those that stay as they start. */
  readonly frozen: readonly string[];
  /** What layers start with by the means of what was observed; the caller disposes it. */
  start(found: Tensors, state: Scouted): Promise<readonly LayerParts[]>;
  /** What is sent of layers, to clients that don't know yet how these start or to others; by default what such a client lacks. */
  send?(layers: readonly LayerParts[], isNew: boolean): Tensors;
  readonly receive?: Method["receive"];
}

/**
 * A method whose first round only looks: clients send the mean of what they observe of the gradients of the pretrained weights, by which the
 * layers start. From then on the server averages what is trained. A client downloads what stays once.
 */
export function scouted(options: AdapterOptions, scouting: ScoutedOptions): Method<Scouted> {
  const { name, purpose, asynchrony, attach, observation, trained, frozen, start, receive } = scouting;
  const all = [...trained, ...frozen];
  const { send = (layers, isNew) => nameParts(layers, isNew ? all : trained) } = scouting;
  return {
    name,
    sendsOtherwise: true,
    unsoundWith: { ...unsoundByScouting, asynchrony },
    check: (pretrained) => checkAdaptedWeights(pretrained, options),
    async init(pretrained, context) {
      this.check(pretrained);
      const model = await attach(pretrained, context);
      const [adapted, parameters] = [[...adaptedLinears(model)], new Map(model.namedParameters())];
      return {
        model,
        state: {
          head: trainableParameters(model, isHead),
          layers: adapted.map(([layer]) => takeParts(parameters, layer, all)),
          weights: Object.fromEntries(adapted.map(([layer, { weight }]) => [layer, weight.shape])),
          hasStarted: false,
          seed: context.seed,
        },
      };
    },
    parameters: ({ head, layers }) => new Map([...head, ...nameParts(layers, all)]),
    plan({ head, layers, weights, hasStarted }, round) {
      if (round === 1) return scoutingPlan(weights, observation);
      return {
        trained: [...nameParts(layers, trained).keys(), ...head.keys()],
        download: afterFirstRound(
          { name, purpose, isDone: hasStarted },
          (isNew) => new Map([...head, ...send(layers, isNew)]),
        ),
      };
    },
    async apply(state, { values }, round) {
      if (round === 1) {
        const found = state.layers.map(({ layer }) => [layer, observed(values, layer)] as const);
        return { ...state, layers: await start(new Map(found), state), hasStarted: true };
      }
      return {
        ...state,
        head: updated(state.head, values),
        layers: state.layers.map(({ layer, parts }) => ({
          layer,
          parts: { ...parts, ...takeParts(values, layer, trained).parts },
        })),
      };
    },
    ...(receive && { receive }),
  };
}
