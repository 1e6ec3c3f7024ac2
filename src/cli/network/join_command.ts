import process from "node:process";
import { type Command, Option } from "commander";
import { makeFolder } from "../../data/mod.ts";
import { createMethod } from "../../experiment/config/method_config.ts";
import { methodLabel } from "../../experiment/config/config.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import { describeScores } from "../../experiment/text/score_title.ts";
import { writeModelFolder } from "../../experiment/trained/model_folder.ts";
import { connectNats } from "../../network/nats/connection.ts";
import {
  fileStore,
  type Invitation,
  joinFederation,
  type ParticipantEvent,
  readInvitation,
} from "../../network/nats/federation/mod.ts";
import {
  type PreparedParticipant,
  prepareParticipant,
} from "../../network/nats/federation/participant/prepare_participant_node.ts";
import { createReporter } from "../terminal/reporter.ts";
import { parseCount, parsePath, start } from "../terminal/start.ts";
import { addReadingOptions, type ReadingFlags, readingOf } from "../trained/reading.ts";
import { type NatsFlags, natsHelp, natsOptionsOf, withNatsOptions } from "./nats_options.ts";

interface JoinFlags extends NatsFlags, ReadingFlags {
  readonly nats: string;
  readonly name: string;
  readonly model: string;
  readonly data: string[];
  readonly test?: string[];
  readonly folder?: string;
  readonly save?: string;
  readonly wait: number;
  readonly maxSteps?: number;
}

/** Adds `federa join`. */
export function addJoinCommand(program: Command): void {
  const command = program.command("join")
    .description(
      "takes part in a federation over NATS with examples of its own, which never leave this machine",
    )
    .argument("<FEDERATION>", "the federation's name, as its host says")
    .addOption(
      new Option("--nats <URL>", "the NATS server of the host, nats:// or tls://").env("NATS_URL")
        .makeOptionMandatory(),
    )
    .requiredOption("--name <NAME>", "this participant's name: letters, digits, - and _")
    .requiredOption(
      "--model <SOURCE>",
      "the pretrained model, of the host's weights: a folder, hf:owner/name or npm:package@version",
      parsePath,
    )
    .requiredOption(
      "--data <FILES...>",
      "the examples that it trains on: files, a folder or a pattern",
      parsePaths,
    )
    .option(
      "--test <FILES...>",
      "examples of its own to score each round's model on; the scores stay here, unless the host asks for them",
      parsePaths,
    )
    .option(
      "--folder <FOLDER>",
      "what it goes on with after it was killed; by default participant-FEDERATION-NAME",
      parsePath,
    )
    .option("--save <FOLDER>", "gets the model of the last round, for federa predict", parsePath)
    .option("--wait <SECONDS>", "how long to wait for a host that doesn't answer", parseCount, 600)
    .option("--max-steps <N>", "refuses a federation that asks for more local steps a round", parseCount);
  withNatsOptions(addReadingOptions(command))
    .addOption(
      new Option("--missing-labels <WHAT>", "what to do about examples without a label")
        .choices(["refuse", "drop"]),
    )
    .addHelpText(
      "after",
      `
${natsHelp}

What leaves this machine: the values that it has trained, their mean loss, the number of its examples, its name and its adapter. Ctrl-C
leaves the federation; the same command comes back to it.

Examples:
  federa join mail --nats nats://127.0.0.1:4222 --name ada --model hf:sentence-transformers/all-MiniLM-L6-v2 --data mine.jsonl
  federa join mail --nats tls://nats.example.org:4222 --name bob --model ./bert --data mine.csv --column text=body --save model`,
    )
    .action((federation: string, flags: JoinFlags) =>
      start((options) => join(federation, { ...options, flags }))
    );
}

async function join(
  federation: string,
  { flags, signal, ...options }: LoadOptions & { readonly flags: JoinFlags },
): Promise<void> {
  const {
    name,
    nats,
    wait,
    model,
    data,
    test,
    folder = `participant-${federation}-${name}`,
    save,
    maxSteps,
  } = flags;
  // The command's own reporter throws once it's to end; a participant says goodbye first.
  const reporter = createReporter(process.stdout);
  const connection = await connectNats(nats, {
    ...await natsOptionsOf(flags),
    name: `federa join ${federation} as ${name}`,
    reconnectSeconds: wait,
    onStatus: (line) => reporter.line(line),
  });
  try {
    const common = {
      connection,
      name,
      patienceSeconds: wait,
      signal,
      onReach: (isReached: boolean) =>
        reporter.line(isReached ? "The host answers again" : "The host doesn't answer; waiting for it"),
    };
    const invitation = await readInvitation({ ...common, federation });
    for (const line of describeInvitation(invitation)) reporter.line(line);
    const [path] = data as [string];
    using gpu = await openTunedGpu(options.reporter);
    using prepared = await prepareParticipant(invitation, gpu, {
      ...options,
      signal,
      model,
      data,
      test,
      reading: readingOf({ ...invitation, reading: undefined }, { ...flags, path }),
    });
    const { pretrained, train } = prepared;
    reporter.line(`${train.numExamples} examples to train on; they stay here`);
    const events = joinFederation(pretrained, {
      ...common,
      onReach: undefined,
      invitation,
      train,
      test: prepared.test,
      store: fileStore(folder),
      limits: { steps: maxSteps },
    });
    let isFinished = false;
    for await (const event of events) {
      report(event, invitation, reporter);
      if (event.type !== "ended") continue;
      isFinished = event.isFinished;
      if (event.model !== undefined && save !== undefined) {
        await saveModel(save, event.model, { invitation, prepared });
        reporter.line(`The model is in ${save}`);
      } else if (save !== undefined) reporter.line("The host keeps the model to itself: nothing is saved");
    }
    if (!isFinished) throw new ConfigError(`Federation ${federation} ended before its last round`);
  } finally {
    reporter.endProgress();
    await connection.close();
  }
}

async function saveModel(
  folder: string,
  model: Parameters<typeof writeModelFolder>[1],
  { invitation, prepared }: { readonly invitation: Invitation; readonly prepared: PreparedParticipant },
): Promise<void> {
  const { task, maxLength, model: { pooling, precision } } = invitation;
  await makeFolder(folder);
  await writeModelFolder(folder, model, {
    pretrained: prepared.pretrained,
    config: {
      model: { source: prepared.model.source, ...(pooling && { pooling }) },
      precision,
      task,
      maxLength,
    },
  });
}

/** What a person is told before anything is sent. */
function describeInvitation(invitation: Invitation): string[] {
  const { federation, host, task, labels, method, rounds, local, batchSize, model, participants } =
    invitation;
  const [count, unit] = local.steps === undefined ? [local.epochs!, "epoch"] : [local.steps, "step"];
  const work = `${count} ${unit}${count === 1 ? "" : "s"}`;
  const names = labels.length <= 12 ? labels.join(", ") : `${labels.length} labels`;
  const { privacy } = method;
  return [
    `Federation ${federation}, hosted by ${host}: ${task.kind.replaceAll("-", " ")} of ${names}`,
    `  ${
      methodLabel(method)
    } on ${model.source}; ${rounds} rounds with ${participants} participants, each of ${work} in batches of ${batchSize}`,
    ...invitation.clientScores ? ["  the host asks for the scores on test data of one's own (--test)"] : [],
    ...createMethod(method).showsChanges
      ? [`  with ${method.method}, what each participant has trained goes on to all others too`]
      : [],
    ...privacy?.kind === "local-dp"
      ? [
        `  noise is added here before anything is sent: local differential privacy, clip norm ${
          privacy["clipNorm"]
        }`,
      ]
      : [],
  ];
}

/** Tells a person what happens. */
function report(event: ParticipantEvent, { rounds }: Invitation, reporter: LoadOptions["reporter"]): void {
  switch (event.type) {
    case "joined":
      return reporter.line(event.isBack ? "Back in the federation" : "Joined");
    case "waiting":
      return reporter.line(`Waiting for ${event.reason}`);
    case "progress":
      return reporter.progress(`round ${event.round}/${rounds}`, event.done, event.total, { unit: "steps" });
    case "scores":
      return reporter.line(
        `  round ${event.round}/${rounds}: before it, on the own test data: loss ${
          event.evaluation.loss.toFixed(3)
        }${describeScores(event.evaluation.scores)}`,
      );
    case "sent":
      return reporter.line(
        `  round ${event.round}/${rounds}: train loss ${event.loss.toFixed(3)}; ${
          event.bytesUp.toLocaleString("en")
        } bytes sent, ` +
          `${event.traffic.bytesUp.toLocaleString("en")} in all`,
      );
    case "round-lost":
      return reporter.line(
        `  round ${event.round}/${rounds} went on without this participant: ${event.reason}`,
      );
    case "ended":
      return reporter.line(`The federation is over: ${event.reason}`);
    case "round":
  }
}

/** Collects the paths of an option that takes several. */
function parsePaths(text: string, paths: readonly string[] | undefined): string[] {
  return [...paths ?? [], parsePath(text)];
}
