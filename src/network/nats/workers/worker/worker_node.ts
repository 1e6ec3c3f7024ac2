import { hostname } from "node:os";
import process from "node:process";
import { nuid } from "@nats-io/nats-core";
import type { Gpu } from "../../../../engine/mod.ts";
import { connectNats, type NatsOptions } from "../../connection.ts";
import { findRun } from "./find_run_node.ts";
import { Heart } from "./heart.ts";
import { queueNames } from "../names.ts";
import { JobOpener, type JobOpenerOptions } from "./open_job_node.ts";
import { Session } from "./session_node.ts";

/** Options of {@linkcode work}. */
export interface WorkerOptions extends NatsOptions, Pick<JobOpenerOptions, "cache"> {
  /** The queue that blocks are taken from; `default` by default. */
  readonly queue?: string | undefined;
  /** What the run calls this worker; the machine's name with a random part by default. */
  readonly worker?: string | undefined;
  /** Ends after the first run that it took part in. */
  readonly once?: boolean | undefined;
  /** How many seconds to wait for a run; 3600 by default. */
  readonly waitSeconds?: number | undefined;
  /** After how many seconds without progress a block is given back; 600 by default. */
  readonly stallSeconds?: number | undefined;
  /** The most bytes of GPU buffers to hold. */
  readonly maxGpuBytes?: number | undefined;
  /** Ends the worker, which gives back the block that it has. */
  readonly signal?: AbortSignal | undefined;
  /** Receives a line about runs that begin and end. */
  readonly report?: ((line: string) => void) | undefined;
  /** Called after each block. */
  readonly onBlock?:
    | ((done: { readonly round: number; readonly clients: number; readonly seconds: number }) => void)
    | undefined;
}

/**
 * Works on blocks of clients of the runs that lead a queue, one after another, until it is ended. A worker sees all data of its blocks: it
 * is for simulation on one's own machines.
 *
 * @throws {WorkerRefusedError} when a run doesn't take it, or sends it away.
 * @throws {WorkersError} when no run comes in time.
 * @throws {NatsError} when the server can't be reached, or is away for too long.
 * @throws {DeviceLostError} when its device is lost; its block is given to another.
 */
export async function work(gpu: Gpu, url: string, options: WorkerOptions = {}): Promise<void> {
  const { queue = "default", signal, report = () => {}, maxGpuBytes } = options;
  const names = queueNames(queue);
  const worker = options.worker ?? `${hostname().slice(0, 40)}-${process.pid}-${nuid.next().slice(-4)}`;
  const connection = await connectNats(url, {
    ...options,
    name: `federa worker ${worker}`,
    inboxPrefix: names.workerInbox,
    onStatus: report,
  });
  const heart = new Heart();
  const opener = new JobOpener(gpu, {
    ...(options.cache !== undefined && { cache: options.cache }),
    report,
    onProgress: () => heart.beat(),
  });
  const shared = { gpu, connection, names, worker, opener, heart, report, maxGpuBytes, options };
  try {
    report(`Worker ${worker} waits for a run in the queue ${queue}`);
    while (true) {
      const welcome = await findRun(shared, options);
      report("A run takes this worker");
      const isOver = await new Session(shared, welcome).serve();
      report(
        isOver ? "The run is over" : "Nobody leads the run any more; waiting for it to go on, or for another",
      );
      if (isOver && options.once || signal?.aborted) break;
    }
  } finally {
    opener[Symbol.dispose]();
    await connection.close();
  }
  signal?.throwIfAborted();
}
