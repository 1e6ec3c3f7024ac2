import { type Shape, tensor, tidy } from "../../engine/mod.ts";
import { type BlockBatches, type LocalTrainingOptions, type TaskModel, trainBlock } from "../../tasks/mod.ts";
import { Held } from "../held.ts";
import type { Client, Local, RoundPlan } from "../method.ts";
import type { Stage } from "../privacy/stage.ts";
import { type HostTensors, pick, type Tensors, zeroTensors } from "../tensors.ts";
import type { Codec } from "../transport/codec.ts";
import { keptBySending, sendUploads } from "../transport/send.ts";
import { readFinite } from "./read_finite.ts";
import { stackKept, stackStarts } from "./stack.ts";

/** Options of {@linkcode trainClients}. */
export interface TrainClientsOptions extends LocalTrainingOptions {
  readonly round: number;
  readonly seed: number;
  readonly clients: readonly Client[];
  /** What each kept from its last round; undefined for a new one. */
  readonly kept: readonly (HostTensors | undefined)[];
  readonly batches: BlockBatches;
  readonly stages: readonly Stage[];
  /** How uploads are put into bytes. */
  readonly codec: Codec;
}

/** What clients are left with after their local steps. The caller disposes the tensors. */
export interface TrainedClients {
  /** What the server has decoded of the uploads, [C, ...] by name. */
  readonly values: Tensors;
  /** What each keeps until its next round, [C, ...] by name. */
  readonly keep: Tensors;
  /** Mean training loss of each over its steps. */
  readonly losses: readonly number[];
  /** Bytes of each one's upload. */
  readonly bytesUp: readonly number[];
}

/**
 * The local training of clients in one stream of kernels, from what they received to what they send: plain descent or the plan's
 * local rule, with what is personal out of what each kept, and the clients' part of all stages.
 *
 * @param model the global model at the start of the round.
 * @throws {NonFiniteError} naming the client whose loss or upload is no longer finite.
 */
export async function trainClients(
  model: TaskModel,
  plan: RoundPlan,
  options: TrainClientsOptions,
): Promise<TrainedClients> {
  const { clients, kept, batches, learningRate, stages, codec } = options;
  const { trained, shared = trained, local: rule, sent: given = new Map() } = plan;
  using held = new Held();
  const global = new Map(model.namedParameters());
  const starts = held.hold(await stackStarts(plan, { clients, global: pick(global, shared) }));
  const personal = trained.filter((name) => !shared.includes(name));
  const own = held.hold(await stackKept(kept, pick(global, personal)));
  const start = new Map(
    trained.map((name) => [name, starts.get(name) ?? own.get(name) ?? global.get(name)!]),
  );
  const zero = held.hold(zeroTensors(model.gpu, rule?.keeps ?? new Map()));
  const local: Local = {
    clients,
    start,
    sent: given,
    kept: held.hold(await stackKept(kept, zero)),
    steps: held.hold(tensor(model.gpu, batches.stepsOf)),
    learningRate,
  };
  const trainedBlock = await trainBlock(model, start, {
    ...options,
    ...(rule?.correct && { correct: (gradients, values) => rule.correct!(gradients, values, local) }),
  });
  held.hold(trainedBlock.losses);
  const values = held.hold(trainedBlock.values);
  const finished = rule?.finish && tidy(() => rule.finish!(values, local));
  const keep = held.hold(new Map([...pick(values, personal), ...finished?.keep ?? []]));
  let upload = held.hold(finished?.upload ?? pick(values, shared));
  for (const stage of stages) {
    const from = upload;
    upload = held.hold(tidy(() => stage.client?.(from, { ...options, start })) ?? from);
  }
  const losses = await readFinite(trainedBlock.losses, upload, options);
  const shapes = shapesOfMembers(upload);
  const bytes = codec.payloadBytes(shapes);
  const bytesUp = clients.map(() => bytes);
  if (codec.lossless) return { values: held.release(upload), keep: held.release(keep), losses, bytesUp };
  const before = held.hold(
    await stackKept(kept, held.hold(zeroTensors(model.gpu, keptBySending(codec, shapes)))),
  );
  const sent = sendUploads(upload, codec, { ...options, start, kept: before });
  return { values: sent.received, keep: new Map([...held.release(keep), ...sent.keep]), losses, bytesUp };
}

function shapesOfMembers(values: Tensors): Map<string, Shape> {
  return new Map([...values].map(([name, { shape }]) => [name, shape.slice(1)]));
}
