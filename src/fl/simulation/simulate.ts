import { type TaskModel } from "../../tasks/mod.ts";
import { createClock } from "../asynchrony/clock.ts";
import { type Asynchrony, type AsynchronyInput, asynchronySchema, sizesOf } from "../asynchrony/options.ts";
import type { FederationEvent } from "../events.ts";
import { federate } from "../federate.ts";
import { type Attackers, drawAttackers } from "../attacks/mod.ts";
import { checkLegality, companionsOf } from "../legality.ts";
import { checkPositions } from "../method.ts";
import { parseOptions } from "../parse_options.ts";
import { secureAggregator } from "../privacy/secure_aggregation/mod.ts";
import { checkStages } from "../transport/check_stages.ts";
import { disposeTree } from "../tree.ts";
import { f32Codec } from "../transport/float_codec.ts";
import type { Cohort, Hostile } from "./block_participants.ts";
import { centralized, localSteps } from "./central.ts";
import { DroppingParticipants, uploadLoss } from "./dropping_participants.ts";
import { evaluateSimulation } from "./evaluation.ts";
import { blocksOf, fleetOf } from "./clients_side.ts";
import { type MemoryPlan, planMemory } from "./memory_plan.ts";
import { automaticBlock, checkOptions, type SimulationOptions } from "./options.ts";

/** What {@linkcode simulate} reports as it goes. */
export type SimulationEvent = FederationEvent<MemoryPlan>;

/**
 * Simulates a federation in this process: each round samples clients, trains them block by block, aggregates and evaluates.
 * Everything random is drawn by (seed, purpose, round, client), so runs repeat bit for bit on one adapter, whatever the block
 * size.
 *
 * @throws {RangeError} when the options don't fit the data, or the encoder lacks embeddings for a token, before anything is trained.
 * @throws {TypeError} when the codec would undo what a stage did; see {@linkcode checkStages}.
 * @throws {OutOfMemoryError} when a round wouldn't fit into memory, before anything is trained.
 * @throws {NonFiniteError} when a client's loss is no longer finite.
 * @throws as {@linkcode federate}.
 */
export async function* simulate(
  pretrained: TaskModel,
  given: SimulationOptions,
): AsyncGenerator<SimulationEvent> {
  const chosen = given.method.isCentral ? centralized(given) : given;
  const { secureAggregation } = chosen;
  const isPrivate = given.method.brings === "differentialPrivacy";
  const secure = secureAggregation && secureAggregator(secureAggregation, { isShrinking: isPrivate });
  const options = { ...chosen, aggregator: secure ?? chosen.aggregator };
  const { stages = [], codec = f32Codec } = options;
  const { method, train, test, clients, clientsPerRound = clients.length, seed } = options;
  const { testClients = [], rounds } = options;
  let asynchrony: Asynchrony | undefined;
  let hostile: Hostile | undefined;
  try {
    checkOptions(given);
    asynchrony = given.asynchrony && asynchronyOf(given, given.asynchrony);
    const asked = asynchrony?.bufferSize ?? clientsPerRound;
    checkLegality(method, companionsOf({ ...given, isPartial: asked < clients.length }));
    options.aggregator?.check?.(clientsPerRound);
    checkStages(codec, stages);
    hostile = options.attackers && hostileOf(pretrained, options.attackers, options);
    method.checkTraining?.(options);
    for (const rows of [train, test, ...testClients]) {
      if (rows === undefined) continue;
      pretrained.encoder.checkInputs(rows.inputs);
      checkPositions(method, { encoder: pretrained.encoder, length: rows.length });
    }
  } catch (error) {
    if (given.resume !== undefined) disposeTree(given.resume.method);
    throw error;
  }
  const { gpu } = pretrained;
  const fleet = fleetOf(options);
  const dropping = { dropouts: secureAggregation?.dropouts ?? {}, seed };
  const own = blocksOf(options, {
    hostile,
    *cohortsFrom(first): Generator<Cohort> {
      // A run that goes on after its last round has none to come, but rehearses one.
      const last = Math.max(first, rounds);
      if (asynchrony !== undefined) {
        // Who is asked follows from who has arrived: it may be anybody.
        for (let round = first; round <= last; round++) yield { round, clients: [...clients.keys()] };
        return;
      }
      for (let round = first; round <= last; round++) {
        const asked = fleet.sample(round);
        yield {
          round,
          clients: asked.filter((client) => uploadLoss(dropping, { round, client }) === undefined),
        };
      }
    },
  });
  const participants = options.trainers?.(own) ?? own;
  const blockSize = options.trainers && options.blockSize === "auto" ? automaticBlock : options.blockSize;
  const { maxHeldBytes } = gpu;
  try {
    yield* federate<MemoryPlan>(pretrained, {
      ...options,
      method,
      asynchrony,
      participants: secure ? new DroppingParticipants(participants, dropping) : participants,
      fleet,
      evaluate: (model, context) => evaluateSimulation(model, { ...options, ...context }),
      prepare: async (run) => {
        const memory = await planMemory(run, own, { ...options, blockSize });
        gpu.maxHeldBytes = Math.min(maxHeldBytes, memory.budgetBytes ?? Infinity);
        return memory;
      },
    });
  } finally {
    gpu.maxHeldBytes = maxHeldBytes;
  }
}

/** How an asynchronous server runs. */
function asynchronyOf(options: SimulationOptions, input: AsynchronyInput): Asynchrony {
  const { clients, clientsPerRound, train, seed, sampling } = options;
  const parsed = parseOptions(asynchronySchema, input, "simulate asynchrony");
  if (sampling === "poisson") {
    throw new RangeError(
      `Cannot run ${parsed.kind} with sampling "poisson": a client is asked when another has arrived; take "uniform"`,
    );
  }
  return {
    ...sizesOf(parsed, { numClients: clients.length, clientsPerRound }),
    clock: createClock(parsed.clock, {
      seed,
      steps: clients.map((each) => localSteps(train, each, options)),
    }),
  };
}

/** Who is hostile, and what they train on. */
function hostileOf(
  { task }: TaskModel,
  { share, attack }: Attackers,
  { clients, train, seed }: SimulationOptions,
): Hostile {
  return {
    clients: new Set(drawAttackers({ share, numClients: clients.length, seed })),
    attack,
    train: attack.poison?.(train, task) ?? train,
  };
}
