import { join } from "node:path";
import { type Command, Option } from "commander";
import { writeFileAtomic } from "../../data/mod.ts";
import { ConfigError, parseWith, readJsonFile } from "../../experiment/config/parse_config.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import { createRunFolder, removeTemporaries, writeConfig } from "../../experiment/run/run_folder.ts";
import { connectNats } from "../../network/nats/connection.ts";
import { hostConfigSchema } from "../../network/nats/federation/host/host_config.ts";
import type { Invitation, ParticipantNews } from "../../network/nats/federation/mod.ts";
import { prepareHost } from "../../network/nats/federation/host/prepare_host_node.ts";
import { runHost } from "../../network/nats/federation/host/run_host_node.ts";
import { resultsTable } from "../tables/results_table.ts";
import { printMethod } from "../terminal/method_printer.ts";
import { parsePath, start } from "../terminal/start.ts";
import { readHostConfig } from "./read_host_config.ts";
import { type NatsFlags, natsHelp, natsOptionsOf, withNatsOptions } from "./nats_options.ts";

interface HostFlags extends NatsFlags {
  readonly nats: string;
  readonly output?: string;
  readonly resume?: string;
}

/** Adds `federa host`. */
export function addHostCommand(program: Command): void {
  const command = program.command("host")
    .description("hosts a federation over NATS: participants join with data of their own (federa join)")
    .argument("[CONFIG.json]", "the federation: model, task, labels, method, rounds, participants", parsePath)
    .addOption(
      new Option("--nats <URL>", "the NATS server, nats:// or tls://").env("NATS_URL").makeOptionMandatory(),
    )
    .option("-o, --output <FOLDER>", "where the run's folder goes, instead of the configuration's", parsePath)
    .option("--resume <RUN>", "goes on with a run that was interrupted, from its folder", parsePath);
  withNatsOptions(command)
    .addHelpText(
      "after",
      `
${natsHelp}

The host sees what each participant sends: the values that it has trained, its losses, its name and its number of examples, never the
examples. docs/federation.md says who sees what, how to permit each participant its own subjects, and what protects more.

Ctrl-C ends it early; its participants wait for it, and federa host --resume goes on.

Examples:
  federa host mail.json --nats nats://127.0.0.1:4222
  federa host --resume runs/mail-001 --nats nats://127.0.0.1:4222`,
    )
    .action((path: string | undefined, flags: HostFlags) =>
      start((options) => hostRun(path, { ...options, flags }))
    );
}

async function hostRun(
  path: string | undefined,
  { flags, ...options }: LoadOptions & { readonly flags: HostFlags },
): Promise<void> {
  const { resume, output, nats } = flags;
  if ((path === undefined) === (resume === undefined)) {
    throw new ConfigError(
      "Cannot host: expected a configuration, or the folder of a run with --resume, one of them",
    );
  }
  const { reporter, signal } = options;
  const given = resume === undefined
    ? { ...await readHostConfig(path!), ...(output !== undefined && { output }) }
    : parseWith(
      hostConfigSchema,
      await readJsonFile(join(resume, "config.json")),
      join(resume, "config.json"),
    );
  const connection = await connectNats(nats, {
    ...await natsOptionsOf(flags),
    name: `federa host ${given.name}`,
    reconnectSeconds: given.gatherSeconds,
    onStatus: (line) => reporter.line(line),
  });
  try {
    using gpu = await openTunedGpu(reporter);
    using prepared = await prepareHost(given, gpu, options);
    const folder = resume ?? await createRunFolder(given);
    if (resume !== undefined) await removeTemporaries(resume);
    else await writeConfig(folder, given);
    const { config } = prepared;
    const print = printMethod(
      {
        config: { ...config, methods: [config.method], evaluateOn: "test" },
        draw: config.seed,
        seed: config.seed,
      },
      { method: config.method, number: 1, total: 1 },
      reporter,
    );
    reporter.endProgress();
    const { summary, error } = await runHost(prepared, {
      ...options,
      connection,
      folder,
      resume: resume !== undefined,
      onInvite(invitation) {
        if (resume === undefined) reporter.line(describeInvitation(invitation, nats));
      },
      onNews: (news) => {
        const line = describeNews(news);
        if (line !== undefined) reporter.line(line);
      },
      onBegin: ({ members }) =>
        reporter.line(
          `${resume === undefined ? "Begins" : "Goes on"} with ${
            members.map(({ name, numExamples }) => `${name} (${numExamples} examples)`).join(", ")
          }`,
        ),
      onEvent: print,
    });
    await writeFileAtomic(
      join(folder, "summary.json"),
      `${
        JSON.stringify(
          { config, adapter: gpu.adapter, baseline: null, methods: [summary], statistics: null },
          null,
          2,
        )
      }\n`,
    );
    if (error !== undefined) {
      if (signal?.aborted) {
        reporter.line(
          `The history so far is in ${folder}; to go on: federa host --resume ${folder} --nats ${
            hideUser(nats)
          }`,
        );
      }
      throw error;
    }
    reporter.line(`\n${resultsTable({ baseline: null, runs: [summary] })}`);
    reporter.line(`\nHistory and adapter are in ${folder}`);
  } finally {
    await connection.close();
  }
}

/** Lines on what is to be done to join. */
function describeInvitation(invitation: Invitation, nats: string): string {
  const { federation, participants, rounds, method: { method }, model: { source } } = invitation;
  return `Federation ${federation}: ${method} on ${source}, ${rounds} rounds with ${participants} participants. To join:\n` +
    `  federa join ${federation} --nats ${hideUser(nats)} --name NAME --model ${source} --data FILE`;
}

/** A line on what happened to a participant. */
function describeNews(news: ParticipantNews): string | undefined {
  switch (news.type) {
    case "participant-joined": {
      const { participant: { name, numExamples, adapter }, missing } = news;
      return `${name} joined with ${numExamples} examples, on ${adapter}${
        missing > 0 ? `; ${missing} more are awaited` : ""
      }`;
    }
    case "participant-back":
      return `${news.participant.name} is back`;
    case "participant-left":
      return `${news.participant.name} left`;
    case "participant-refused":
      return `Refused ${news.name}: ${news.reason}`;
    default:
      return undefined;
  }
}

/** An address without its user and password. */
function hideUser(url: string): string {
  return url.replaceAll(/\/\/[^@/,]*@/g, "//");
}
