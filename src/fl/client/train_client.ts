import { NonFiniteError, tensor, tidy } from "../../engine/mod.ts";
import {
  type LocalTrainingOptions,
  type LocalWork,
  packBatches,
  planBatches,
  type TaskModel,
  type TaskSet,
} from "../../tasks/mod.ts";
import { readSafetensors } from "../../models/weights/safetensors.ts";
import { Held } from "../held.ts";
import { type Client, type Method, type RoundPlan, sharedParameters } from "../method.ts";
import type { Stage } from "../privacy/stage.ts";
import { type HostTensor, type HostTensors, type Tensors, toHost, withParameters } from "../tensors.ts";
import type { Codec } from "../transport/codec.ts";
import { checkStages } from "../transport/check_stages.ts";
import { fitTo } from "../transport/fit.ts";
import { decodePayload } from "../transport/payload.ts";
import { changesOf, lostBySending, uploadKey } from "../transport/send.ts";
import { leadingRank } from "./start_of_rank.ts";
import { trainLocally } from "./train_locally.ts";

/** Options of {@linkcode trainClient}. */
export interface TrainClientOptions extends Omit<LocalTrainingOptions, "onStep"> {
  readonly client: Client;
  readonly round: number;
  readonly seed: number;
  /** What the client downloaded. */
  readonly payload: Uint8Array;
  /** The client's own data. */
  readonly data: TaskSet;
  /** What it kept from its last round; undefined for a new one. */
  readonly kept: HostTensors | undefined;
  readonly work: LocalWork;
  readonly batchSize: number;
  readonly stages?: readonly Stage[] | undefined;
  readonly codec: Codec;
  /** The method's own, where it has one: what a model has after a download. */
  readonly receive?: Method["receive"] | undefined;
}

/** What a client is left with. */
export interface TrainedClient {
  /** What it sends. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** What it keeps until its next round. */
  readonly kept: HostTensors;
  /** Values of its global parameters after the download, for the model that its next round begins with. The caller frees them. */
  readonly received: Tensors;
  /** Mean training loss over its steps. */
  readonly loss: number;
}

/**
 * A client's round from payload to payload: what a node of a real federation and a page in a browser call.
 *
 * @param model the method's model as `init` made it, with what the client's earlier rounds received.
 * @param plan the method's plan of the round, by the state that `init` gave; what it sends is taken from the payload.
 * @throws {TypeError} when the codec would undo what a stage did; see {@linkcode checkStages}.
 * @throws {CorruptFileError} when the payload is broken.
 * @throws {NonFiniteError} when the loss or the upload is no longer finite.
 *
 * @example
 * ```ts no-run
 * const { model, state } = await method.init(pretrained, { seed, numClients });
 * const { payload } = await trainClient(model, method.plan(state, round), { ...options, receive: method.receive });
 * ```
 */
export async function trainClient(
  model: TaskModel,
  plan: RoundPlan,
  options: TrainClientOptions,
): Promise<TrainedClient> {
  const { client, round, seed, data, work, batchSize, kept, stages = [], codec } = options;
  checkStages(codec, stages);
  using held = new Held();
  const { received, sent, rank } = receivePayload(model, options);
  held.hold(received);
  held.hold(sent);
  const rows = Array.from({ length: data.size }, (_, row) => row);
  const batches = packBatches(
    data,
    [planBatches(rows, { work, batchSize, seed, round, client: client.id })],
    batchSize,
  );
  const global = withParameters(model, received);
  const local = await trainLocally(global, { ...ownPlan(global, plan.given?.(sent) ?? plan, rank), sent }, {
    ...options,
    clients: [client],
    kept: [kept],
    batches,
    stages,
  });
  using _held = local.held;
  const problem = local.diverged.get(0);
  if (problem !== undefined) {
    throw new NonFiniteError(
      `Cannot send what client ${client.id} has trained in round ${round}: ${problem}`,
    );
  }
  const [shapes, [loss]] = [local.shapes[0]!, local.losses];
  const changes = codec.lossless ? local.upload : tidy(() => changesOf(local.upload, local));
  if (!codec.lossless) local.held.hold(changes);
  const outgoing = withoutClient(await toHost(changes));
  const fitted = new Map([...outgoing].map(([name, value]) => [name, fitTo(shapes.get(name)!, value)]));
  const payload = codec.encode(fitted, { key: uploadKey(seed, round, client.id) });
  const lost = codec.feedback ? lostBySending(outgoing, arrived(payload, codec, outgoing)) : [];
  return {
    payload,
    kept: new Map([...kept ?? [], ...withoutClient(await toHost(local.keep)), ...lost]),
    received: held.release(received),
    loss: loss!,
  };
}

/**
 * The plan of a client that has its own start already, filled up with zeros beyond its rank or drawn beyond it. Its rank is that of the
 * factors that it got, as the server may have changed it.
 */
function ownPlan(
  global: TaskModel,
  { start: _, ...plan }: RoundPlan,
  rank: number | undefined,
): RoundPlan {
  if (plan.ranks === undefined) return plan;
  const ranks = rank === undefined ? plan.ranks : { ...plan.ranks, of: () => rank };
  return { ...plan, ranks, start: leadingRank(sharedParameters(global, plan), ranks) };
}

/**
 * What a payload makes of the client's global parameters, what was sent beside, and the rank of the factors in it. The caller frees the
 * tensors.
 *
 * @throws {CorruptFileError} when the payload is broken.
 */
export function receivePayload(
  model: TaskModel,
  { payload, receive, round, seed }: Pick<TrainClientOptions, "payload" | "receive" | "round" | "seed">,
): { readonly received: Tensors; readonly sent: Tensors; readonly rank: number | undefined } {
  const parameters = new Map(model.namedParameters());
  const decoded = [...decodePayload(payload)];
  const [rank] = decoded.find(([name]) => name.endsWith(".loraA"))?.[1].shape ?? [];
  return tidy(() => {
    const given = new Map(decoded.map(([name, value]) => {
      const known = parameters.get(name);
      const { shape, data } = known === undefined ? value : fitTo(known.shape, value);
      return [name, tensor(model.gpu, data, { shape })] as const;
    }));
    const received = receive?.(parameters, given, { round, seed }) ??
      new Map([...given].filter(([name]) => parameters.has(name)));
    return { received, sent: new Map([...given].filter(([name]) => !parameters.has(name))), rank };
  });
}

function withoutClient(tensors: HostTensors): Map<string, HostTensor> {
  return new Map([...tensors].map(([name, { shape, data }]) => [name, { shape: shape.slice(1), data }]));
}

/** What the server decodes of a payload, in the shapes of what went into it. */
function arrived(payload: Uint8Array, codec: Codec, outgoing: HostTensors): HostTensors {
  const decoded = codec.decode(readSafetensors(payload));
  return new Map([...decoded].map(([name, value]) => [name, fitTo(outgoing.get(name)!.shape, value)]));
}
