import { givenFactors } from "../../../federa/mod.ts";
import { type HostTensors, type Method, methods } from "../../../fl/mod.ts";
import { adapterOptions } from "../../../fl/methods/parts/adapters/adapter_options.ts";
import { exactAveraging } from "../../../fl/methods/parts/products/exact.ts";
import { lowRankAveraging } from "../../../fl/methods/parts/averaging/low_rank.ts";
import { RefusedRunError } from "./refusal.ts";

/** Methods whose server averages what clients send, each array on its own, and does nothing else: Flower's FedAvg serves them. */
export const averagedMethods = [
  "fedit",
  "federa",
  "ffa-lora",
  "federa-ffa",
  "fedsa-lora",
  "full",
  "fedbf",
  "ln-tune",
  "fedap",
  "attn-scale",
] as const;

/** Methods whose server also sends corrections of frozen weights. */
export const correctedMethods = ["fedex-lora", "federa-exact"] as const;

/** The methods that a node takes part in: those that a ServerApp of Flower can serve. */
export const servedMethods = [...averagedMethods, ...correctedMethods] as const;

/** Methods that a server may make the start of: it needs the pretrained weights and no draws of federa's. */
const startedByServer = ["fedit", "fedex-lora", "federa", "federa-exact"];

/** What {@linkcode createServedMethod} needs of the settings. */
export interface ServedMethodChoice {
  readonly method: (typeof servedMethods)[number];
  /** The method's own options. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly startBy: "nodes" | "server";
}

/**
 * The method that a server asks for.
 *
 * @param start the starting values by name, where the server makes them.
 * @throws {RefusedRunError} when the server can't make that method's start.
 */
export function createServedMethod(
  { method, options, startBy }: ServedMethodChoice,
  start?: HostTensors,
): Method {
  const factory = methods.get(method)!;
  if (startBy === "nodes") return factory(options);
  if (!startedByServer.includes(method)) {
    throw new RefusedRunError(
      `Cannot take part in ${method} with a start that the server has made: expected ${
        startedByServer.join(", ")
      }; let the nodes make it (start-by = "nodes")`,
    );
  }
  if (start === undefined) {
    throw new RefusedRunError(
      `Cannot take part in ${method}: this node hasn't got the server's start; let the server send it anew, as a query`,
    );
  }
  // LoRA's start takes nothing out of the weights: all of it comes down each round.
  if (method === "fedit" || method === "fedex-lora") return factory(options);
  const { svd: _, dora, ...own } = options;
  if (dora) {
    throw new RefusedRunError(
      `Cannot take part in ${method} with dora and a start that the server has made; let the nodes make it`,
    );
  }
  const checked = adapterOptions.parse(own);
  const inner = lowRankAveraging(checked, { name: method, initialization: givenFactors(start) });
  return method === "federa" ? inner : exactAveraging(method, inner, checked);
}
