import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/nats-core";
import { z } from "zod";
import { writeFileAtomic } from "../../../../data/mod.ts";
import { contentHash } from "../../../../experiment/checkpoint/content_hash.ts";
import { encoderHash, identityFor } from "../../../../experiment/checkpoint/identity.ts";
import { methodLabel } from "../../../../experiment/config/config.ts";
import { parseJson, parseWith } from "../../../../experiment/config/parse_config.ts";
import { dependsOnRounds } from "../../../../experiment/config/privacy_config.ts";
import type { LoadOptions } from "../../../../experiment/data/load_data.ts";
import { roundSchedule } from "../../../../experiment/run/learning_rate.ts";
import { type MethodEvent, type MethodOutcome, recordRun } from "../../../../experiment/run/record_run.ts";
import { measures, personalNames } from "../../../../fl/mod.ts";
import { evaluateSimulation } from "../../../../fl/simulation/evaluation.ts";
import { FederationError } from "../errors.ts";
import { FederationHost, type HostedRun, type PlayOptions } from "./host.ts";
import type { Invitation } from "../invitation.ts";
import type { PreparedHost } from "./prepare_host_node.ts";
import type { ParticipantNews } from "./reception.ts";
import { nameSchema } from "../subjects.ts";

/** Options of {@linkcode runHost}. */
export interface RunHostOptions extends LoadOptions {
  readonly connection: NatsConnection;
  /** The folder of the run, which exists. */
  readonly folder: string;
  /** Goes on with what the folder holds. */
  readonly resume?: boolean;
  readonly onNews?: ((news: ParticipantNews) => void) | undefined;
  /** Called once participants can join. */
  readonly onInvite?: ((invitation: Invitation) => void) | undefined;
  /** Called once it begins, or goes on. */
  readonly onBegin?: ((run: HostedRun) => void) | undefined;
  readonly onEvent?: ((event: MethodEvent) => void) | undefined;
}

/** Name of the list of participants in the folder of a run. */
const PARTICIPANTS = "participants.json";

/**
 * Hosts a federation and leaves in a folder what a run leaves for its method, and `participants.json`, by which it can be resumed.
 *
 * @throws {FederationError} as `hostFederation`, before the first round.
 * @throws {ConfigError} when it is to be resumed and its list of participants is missing or damaged.
 */
export async function runHost(
  { config, settings, pretrained, model, test }: PreparedHost,
  options: RunHostOptions,
): Promise<MethodOutcome> {
  const { connection, folder, resume = false, signal, onNews, onInvite, onBegin, onEvent } = options;
  const { method, seed } = config;
  const path = join(folder, PARTICIPANTS);
  const before = resume ? await readHostedRun(path) : undefined;
  const host = await FederationHost.open(pretrained, {
    connection,
    settings,
    learningRate: roundSchedule(method.learningRate, config),
    gatherSeconds: config.gatherSeconds,
    resume: before,
    onNews,
    signal,
  });
  try {
    onInvite?.(host.invitation);
    const run = await host.gather();
    if (before === undefined) await writeFileAtomic(path, `${JSON.stringify(run, null, 2)}\n`);
    onBegin?.(run);
    const clientSizes = run.members.map(({ numExamples }) => numExamples);
    const { output: _, name: __, ...decisive } = config;
    const shared: PlayOptions = {
      measures: config.measures.map((name) => measures.get(name)!),
      evaluateEvery: config.evaluateEvery === 0 ? config.rounds + 1 : config.evaluateEvery,
      evaluate: test &&
        ((global, context) =>
          personalNames(context.plan).length > 0
            ? Promise.resolve({ test: null })
            : evaluateSimulation(global, { ...context, test })),
    };
    return await recordRun(
      {
        gpu: pretrained.gpu,
        pretrained,
        tuning: undefined,
        target: undefined,
        draw: seed,
        seed,
        config: { ...config, clientModels: false, clientState: "memory", stopEarly: undefined },
        test,
        source: model.source,
        numClients: undefined,
        header: {
          config,
          method,
          seed,
          federation: { run: run.run, participants: run.members.map(({ name }) => name) },
          clientSizes,
          numTest: test?.numExamples ?? 0,
        },
        play: (more) => host.play({ ...shared, ...more }),
      },
      method,
      {
        ...options,
        folder: join(folder, methodLabel(method)),
        identity: identityFor({
          configuration: {
            ...decisive,
            labels: pretrained.task.labels,
            ...(config.schedule.kind === "constant" && !dependsOnRounds(method.privacy) &&
              { rounds: undefined }),
            // What changes no bit.
            gatherSeconds: undefined,
            roundSeconds: undefined,
            silenceSeconds: undefined,
            evaluateEvery: undefined,
            measures: undefined,
            keepBest: undefined,
            sharesModel: undefined,
            host: undefined,
            test: undefined,
            model: { ...config.model, source: undefined },
          },
          trainHash: contentHash(run.members.map(({ name, numExamples }) => [name, numExamples])),
          testHash: contentHash(test ?? null),
          baseHash: await encoderHash(model.encoder),
        }),
        onEvent,
      },
    );
  } finally {
    await host.close();
  }
}

const hostedRunSchema = z.strictObject({
  run: z.string().regex(/^[0-9a-f]{32}$/),
  members: z.array(z.strictObject({
    name: nameSchema,
    tokenHash: z.string().regex(/^[0-9a-f]{64}$/),
    numExamples: z.int().min(1),
    adapter: z.string(),
    software: z.string(),
  })).min(1),
});

async function readHostedRun(path: string): Promise<HostedRun> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new FederationError(
      `Cannot go on with a federation: there is no ${path}; it was ended before it began, so host it again`,
    );
  });
  return parseWith(hostedRunSchema, parseJson(text, path), path);
}
