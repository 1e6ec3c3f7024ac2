import { type Shape, type Tensor } from "../../../engine/mod.ts";
import {
  factoredLinears,
  type Initialization,
  type LayerSettings,
  layerSettings,
  matchLinears,
} from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { isHead, type Method, trainableParameters } from "../../method.ts";
import { pick, take, type Tensors } from "../../tensors.ts";
import {
  adaptEncoder,
  type AdapterOptions,
  adapterTargets,
  checkEncoderAdapters,
} from "./adapter_options.ts";
import { observed, scoutingPlan, unsoundByScouting } from "./scouting.ts";

/** The state of a method of {@linkcode gradientStart}. */
export type GradientStarted = {
  /** Values of what is trained. */
  readonly global: Tensors;
  /** Values that the first gradient gave and that stay from then on. */
  readonly frozen: Tensors;
  /** Whether the first round's gradient gave the start. */
  readonly hasStarted: boolean;
  readonly seed: number;
};

/** Options of {@linkcode gradientStart}. */
export interface GradientStartOptions {
  readonly name: string;
  /** The layers before the start: their shapes, and an update of zero. */
  readonly initialization: Initialization;
  /** The parameters of a layer that are trained once it has started. */
  readonly trained: readonly string[];
  /** Those that stay as they start. */
  readonly frozen: readonly string[];
  /** A layer's parameters by the mean gradient [out, in] of its weight. */
  start(
    gradient: Tensor,
    context: LayerSettings & { readonly seed: number },
  ): Promise<Readonly<Record<string, Tensor>>>;
}

/**
 * A method whose adapters start from the gradient of the pretrained weights, averaged over the clients of the first round, which costs that
 * round and o·i values up per layer; nothing moves in it. From then on the server averages what is trained. A client downloads what stays
 * once.
 */
export function gradientStart(
  options: AdapterOptions,
  { name, initialization, trained, frozen, start }: GradientStartOptions,
): Method<GradientStarted> {
  return {
    name,
    sendsOtherwise: true,
    unsoundWith: {
      ...unsoundByScouting,
      asynchrony:
        "all must start from the gradient of the first round, and an update may be older: take federa-sb",
    },
    check(pretrained) {
      checkEncoderAdapters(pretrained, options);
      const weights = new Set(
        matchLinears(pretrained, adapterTargets(pretrained, options)).map((each) => `${each}.weight`),
      );
      trainableParameters(pretrained, (each) => weights.has(each));
    },
    async init(pretrained, context) {
      this.check(pretrained);
      const model = await adaptEncoder(pretrained, { ...options, context, initialization });
      const layers = [...factoredLinears(model).keys()];
      const partsOf = (parts: readonly string[]) =>
        new Set(layers.flatMap((layer) => parts.map((part) => `${layer}.${part}`)));
      const [moving, staying] = [partsOf(trained), partsOf(frozen)];
      return {
        model,
        state: {
          global: trainableParameters(model, (each) => isHead(each) || moving.has(each)),
          frozen: trainableParameters(model, (each) => staying.has(each)),
          hasStarted: false,
          seed: context.seed,
        },
      };
    },
    parameters: (state) => new Map([...state.global, ...state.frozen]),
    plan({ global, frozen: fixed, hasStarted }, round) {
      if (round === 1) return scoutingPlan(weightsOf(global, fixed, trained[0]!));
      return {
        trained: [...global.keys()],
        download({ lastRound }) {
          if (!hasStarted) {
            throw new RangeError(
              `Cannot go on with ${name}: nobody came through in round 1, which gathers the gradient that it starts from; start again`,
            );
          }
          // A client of the first round doesn't know yet what came of it.
          return new Map([...global, ...lastRound <= 1 ? fixed : []]);
        },
      };
    },
    async apply(state, { values }, round) {
      const { global, frozen: fixed, seed } = state;
      if (round > 1) return { ...state, global: new Map([...global, ...values]) };
      using held = new Held();
      const started = new Map<string, Tensor>();
      for (const layer of layersOf(global, trained[0]!)) {
        const parts = await start(observed(values, layer), { ...layerSettings(layer, options), seed });
        for (const [part, value] of Object.entries(parts)) started.set(`${layer}.${part}`, held.hold(value));
      }
      held.release(started);
      return {
        global: new Map([...global].map(([each, value]) => [each, started.get(each) ?? value])),
        frozen: pick(started, fixed.keys()),
        hasStarted: true,
        seed,
      };
    },
  };
}

function layersOf(global: Tensors, part: string): string[] {
  return [...global.keys()].flatMap((each) =>
    !isHead(each) && each.endsWith(`.${part}`) ? [each.slice(0, -part.length - 1)] : []
  );
}

/** Shapes [out, in] of the weights of the layers, by those of A and B. */
function weightsOf(global: Tensors, fixed: Tensors, part: string): Map<string, Shape> {
  const all = new Map([...global, ...fixed]);
  return new Map(
    layersOf(global, part).map((layer) => {
      const [a, b] = [take(all, `${layer}.loraA`), take(all, `${layer}.loraB`)];
      return [layer, [b.shape[0]!, a.shape[1]!]];
    }),
  );
}
