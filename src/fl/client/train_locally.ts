import { type Shape, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import {
  type BlockBatches,
  firstInputs,
  type LocalTrainingOptions,
  type TaskModel,
  trainBlock,
} from "../../tasks/mod.ts";
import { Held } from "../held.ts";
import { type Client, type Local, personalNames, type RoundPlan } from "../method.ts";
import type { Stage } from "../privacy/stage.ts";
import { type HostTensors, pick, type Shapes, type Tensors, zeroTensors } from "../tensors.ts";
import type { Codec } from "../transport/codec.ts";
import { keptBySending } from "../transport/send.ts";
import { scaledByClient, shapesOfRank } from "./ranks.ts";
import { inspectTraining } from "./inspect_training.ts";
import { stackKept, stackStarts } from "./stack.ts";

/** Options of {@linkcode trainLocally}. */
export interface TrainLocallyOptions extends LocalTrainingOptions {
  readonly round: number;
  readonly seed: number;
  readonly clients: readonly Client[];
  /** What each kept from its last round; undefined for a new one. */
  readonly kept: readonly (HostTensors | undefined)[];
  readonly batches: BlockBatches;
  readonly stages: readonly Stage[];
  /** How uploads will be put into bytes. */
  readonly codec: Codec;
}

/** What clients have after their local steps, on the way to the wire. Its tensors are freed with it, but for those released. */
export interface LocalResult {
  /** What goes up, [C, ...] by name. */
  readonly upload: Tensors;
  /** The shapes that each client sends. */
  readonly shapes: readonly Shapes[];
  /** Where they started: [...] where all start alike, otherwise [C, ...]. */
  readonly start: Tensors;
  /** What each keeps until its next round, [C, ...] by name. */
  readonly keep: Tensors;
  /** What each has kept for a codec with feedback, [C, ...] by name. */
  readonly kept: Tensors;
  /** Mean training loss of each over its steps. */
  readonly losses: readonly number[];
  /** Whose loss or upload isn't finite, by their place, and what isn't. */
  readonly diverged: ReadonlyMap<number, string>;
  readonly held: Held;
}

/**
 * The local training of clients in one stream of kernels, from what they received to what they send: plain descent or the plan's
 * local rule, with what is personal out of what each kept, and the clients' part of all stages.
 *
 * @param model the global model at the start of the round.
 */
export async function trainLocally(
  model: TaskModel,
  plan: RoundPlan,
  options: TrainLocallyOptions,
): Promise<LocalResult> {
  const held = new Held();
  try {
    return { ...await train(model, plan, { ...options, held }), held };
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

async function train(
  model: TaskModel,
  plan: RoundPlan,
  options: TrainLocallyOptions & { readonly held: Held },
): Promise<Omit<LocalResult, "held">> {
  const { clients, kept, batches, optimizer, learningRate, stages, codec, held } = options;
  const { trained, shared = trained, local: rule, sent = new Map(), ranks } = plan;
  const { gpu } = model;
  const begin = async (values: Tensors) => held.hold(await stackKept(kept, values));
  const zeros = (shapes: Shapes) => held.hold(zeroTensors(gpu, shapes));

  const global = new Map(model.namedParameters());
  const starts = held.hold(stackStarts(plan, { clients, global: pick(global, shared) }));
  const personal = personalNames(plan);
  const own = await begin(pick(global, personal));
  const start = new Map(
    trained.map((name) => [name, starts.get(name) ?? own.get(name) ?? global.get(name)!]),
  );
  const local: Local = {
    clients,
    start,
    sent,
    kept: await begin(zeros(rule?.keeps ?? new Map())),
    sums: zeros(stackedShapes(rule?.sums, clients.length)),
    prepared: rule?.observe
      ? held.hold(tidy(() => rule.observe!(model, firstInputs(gpu, batches))))
      : new Map(),
    ranks,
    step: 0,
    steps: batches.stepsOf,
    optimizer,
    learningRate,
  };
  const scaling = ranks && held.hold(tensor(gpu, clients.map(({ id }) => ranks.scaling(id))));
  let step = 0;
  const trainedBlock = await trainBlock(scaling ? scaledByClient(model, scaling) : model, start, {
    ...options,
    // Without momentum or decay, a step of length 0.
    ...(rule?.isStill && { optimizer: { name: "sgd" }, learningRate: 0 }),
    ...(rule?.correct &&
      { correct: (gradients, values) => rule.correct!(gradients, values, { ...local, step: ++step }) }),
  });
  held.hold(trainedBlock.losses);
  const values = held.hold(trainedBlock.values);
  const sharedValues = pick(values, shared);
  const prepared = new Map([
    ...local.prepared,
    ...held.hold(await rule?.prepare?.(sharedValues, local) ?? new Map<string, Tensor>()),
  ]);
  const finished = rule?.finish && tidy(() => rule.finish!(sharedValues, { ...local, prepared }));
  const keep = held.hold(new Map([...pick(values, personal), ...finished?.keep ?? []]));
  let upload = held.hold(finished?.upload ?? sharedValues);
  for (const stage of stages) {
    const from = upload;
    upload = held.hold(tidy(() => stage.client?.(from, { ...options, start })) ?? from);
  }
  const { losses, diverged } = await inspectTraining(trainedBlock.losses, upload);
  const shapes = shapesOfMembers(upload);
  return {
    upload,
    shapes: clients.map(({ id }) => ranks ? shapesOfRank(shapes, ranks.of(id)) : shapes),
    start,
    keep,
    kept: await begin(zeros(keptBySending(codec, shapes))),
    losses,
    diverged,
  };
}

/** [C, ...] by name. */
function stackedShapes(shapes: Shapes = new Map(), members: number): Shapes {
  return new Map([...shapes].map(([name, shape]) => [name, [members, ...shape]]));
}

function shapesOfMembers(values: Tensors): Map<string, Shape> {
  return new Map([...values].map(([name, { shape }]) => [name, shape.slice(1)]));
}
