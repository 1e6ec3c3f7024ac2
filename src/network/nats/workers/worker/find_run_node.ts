import type { NatsConnection } from "@nats-io/nats-core";
import type { Gpu } from "../../../../engine/mod.ts";
import { NatsError } from "../../errors.ts";
import { kindOf } from "../bits_node.ts";
import { WorkerRefusedError, WorkersError } from "../errors.ts";
import { decodeMessage, encodeMessage, type Welcome, welcomeSchema } from "../messages.ts";
import type { QueueNames } from "../names.ts";
import { pause } from "../patience.ts";

/** Seconds between looks for a run. */
const lookSeconds = 1;

/** A worker that looks for a run. */
export interface Seeker {
  readonly gpu: Gpu;
  readonly connection: NatsConnection;
  readonly names: QueueNames;
  readonly worker: string;
}

/** Options of {@linkcode findRun}. */
export interface FindRunOptions {
  /** How many seconds to wait for a run; 3600 by default. */
  readonly waitSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks for a run until one takes the worker.
 *
 * @throws {WorkerRefusedError} when a run doesn't take it.
 * @throws {WorkersError} when no run comes in time.
 * @throws {NatsError} when the connection is lost.
 */
export async function findRun(seeker: Seeker, options: FindRunOptions = {}): Promise<Welcome> {
  const { waitSeconds = 3600, signal } = options;
  const limit = performance.now() + waitSeconds * 1000;
  while (true) {
    signal?.throwIfAborted();
    const welcome = await greet(seeker);
    if (welcome !== undefined) return welcome;
    if (performance.now() > limit) {
      throw new WorkersError(
        `Cannot work: no run has led the queue ${seeker.names.queue} for ${waitSeconds} s`,
      );
    }
    await pause(lookSeconds);
  }
}

/**
 * Asks once; undefined where nobody leads the queue or answers.
 *
 * @throws as {@linkcode findRun}.
 */
export async function greet({ gpu, connection, names, worker }: Seeker): Promise<Welcome | undefined> {
  if (connection.isClosed()) {
    const error = await connection.closed();
    throw new NatsError(`Cannot work: the connection to NATS is lost${error ? `: ${error.message}` : ""}`);
  }
  let answer;
  try {
    answer = await connection.request(names.hello, encodeMessage({ worker, kind: kindOf(gpu) }), {
      timeout: 5000,
    });
  } catch {
    // Nobody leads the queue, or the server is away for a moment.
    return undefined;
  }
  const welcome = decodeMessage(welcomeSchema, answer.data);
  if (welcome === undefined) {
    throw new WorkerRefusedError("Cannot work: the run speaks another language; use the same version");
  }
  if ("refused" in welcome) {
    throw new WorkerRefusedError(`Cannot work: the run refuses this worker: ${welcome.refused}`);
  }
  return welcome;
}
