import type { Page } from "playwright-core";
import { chooseColumns, readTable } from "../../../examples/browser/trainer/data.ts";
import { createMethod } from "../../../src/experiment/config/method_config.ts";
import {
  classification,
  disposeOwn,
  loadTokenizer,
  openGpu,
  openPretrained,
  simulate,
  type SimulationEvent,
  TaskModel,
  type TextExample,
} from "../../../src/mod.ts";
import { connectNats } from "../../../src/network/nats/connection.ts";
import { invitationSchema } from "../../../src/network/nats/federation/invitation.ts";
import {
  type HostEvent,
  hostFederation,
  type HostSettings,
  joinFederation,
  type ParticipantNews,
  readInvitation,
} from "../../../src/network/nats/federation/mod.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { startNats } from "../../support/nats_server.ts";
import { openPages, type Pages } from "./pages.ts";
import { spamCsv } from "./tables.ts";

/** Rows of each class that participants have, by their names. */
const rowsOf: Readonly<Record<string, number>> = { ada: 10, bob: 15, cyd: 5 };

/** What a federation came to. */
export interface Outcome {
  /** How many came through, round by round. */
  readonly arrived: readonly number[];
  readonly losses: readonly number[];
  /** Values of what was trained, by name, before the first round and after the last. */
  readonly start: ReadonlyMap<string, Float32Array>;
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** Options of {@linkcode TestFederation.host}. */
export interface HostingOptions {
  /** Called after each round, and waited for. */
  readonly onRound?: (round: number) => void | Promise<void>;
  readonly onNews?: (news: ParticipantNews) => void;
  /** Called with why a participant was lost in a round. */
  readonly onLost?: (reason: string) => void;
}

/** A NATS server, the pages, and what a host and a participant in Node need beside them. */
export interface TestFederation {
  readonly pages: Pages;
  readonly server: string;
  settings(federation: string, more?: Partial<HostSettings>): HostSettings;
  /** Goes through a page's own steps, up to the button that joins. */
  getReady(page: Page, name: string, federation: string): Promise<void>;
  /** Hosts to the end. */
  host(settings: HostSettings, options?: HostingOptions): Promise<Outcome>;
  /** Takes part from Node, to the end. */
  join(name: string, federation: string): Promise<void>;
  /** What the same federation comes to in one process. */
  simulate(settings: HostSettings): Promise<Outcome>;
  close(): Promise<void>;
}

/** Starts a federation's surroundings on the tiny checkpoint. */
export async function openFederation(browser: string): Promise<TestFederation> {
  const nats = await startNats({ websocket: true });
  const pages = await openPages(browser, { allow: [nats.websocketUrl] });
  const gpu = await openGpu();
  const files = folderFiles(pages.model);
  const { encoder } = await openPretrained(gpu, files);
  const tokenizer = await loadTokenizer(files);
  const task = classification({ labels: ["ham", "spam"] });
  const pretrained = TaskModel.create(gpu, encoder, { task, seed: 5 });
  const { shape } = invitationSchema;

  const prepare = (examples: readonly TextExample[]) => task.prepare(examples, tokenizer, { maxLength: 16 });
  /** What a page makes of its file. */
  const examplesOf = async (name: string) => {
    const { rows } = await readTable(new File([spamCsv(rowsOf[name]!)], `${name}.csv`));
    return chooseColumns(rows, { text: "text", label: "label" }, { seed: 1, prescribed: task }).train;
  };
  const collect = async (
    events: AsyncIterable<HostEvent | SimulationEvent>,
    { onRound, onLost }: HostingOptions = {},
  ) => {
    const outcome = {
      arrived: [] as number[],
      losses: [] as number[],
      start: new Map<string, Float32Array>(),
      values: new Map<string, Float32Array>(),
    };
    for await (const event of events) {
      await take(event, outcome);
      if (event.type === "round") await onRound?.(event.report.round);
      if (event.type === "client-lost") onLost?.(event.lost.reason);
    }
    return outcome;
  };
  const take = async (
    event: HostEvent | SimulationEvent,
    outcome: { -readonly [Key in keyof Outcome]: Outcome[Key] } & { arrived: number[]; losses: number[] },
  ) => {
    if (event.type === "initialized") outcome.start = await trainedValues(event.model);
    if (event.type === "round") {
      outcome.arrived.push(event.report.participants.length);
      outcome.losses.push(event.report.trainLoss ?? NaN);
    }
    if (event.type === "finished") {
      outcome.values = await trainedValues(event.model);
      disposeOwn(event.model, pretrained);
    }
  };

  return {
    pages,
    server: nats.websocketUrl,
    settings: (federation, more) => ({
      federation,
      host: "the tests",
      task: { kind: "sequence-classification" },
      model: { source: `${pages.url}models/tiny/`, precision: "f32" },
      maxLength: 16,
      seed: 5,
      method: shape.method.parse({ method: "federa", learningRate: 0.3, rank: 2, alpha: 2 }),
      codec: { name: "f32" },
      local: { epochs: 2 },
      batchSize: 4,
      optimizer: shape.optimizer.parse({ name: "sgd" }),
      rounds: 3,
      participants: 3,
      minimum: 1,
      roundSeconds: 120,
      silenceSeconds: 30,
      sharesModel: true,
      ...more,
    }),
    async getReady(page, name, federation) {
      await page.fill("#federation-name", federation);
      await page.click("#read");
      await page.waitForSelector("#invitation:not([hidden])");
      await page.click("#model-address button");
      await page.waitForSelector("#data:not([hidden])");
      const buffer = Buffer.from(spamCsv(rowsOf[name]!));
      await page.setInputFiles("#data-file", { name: `${name}.csv`, mimeType: "text/csv", buffer });
      await page.waitForSelector("#part:not([hidden])");
    },
    async host(settings, options = {}) {
      const connection = await connectNats(nats.url);
      try {
        const hosting = { connection, settings, evaluateEvery: 0, gatherSeconds: 90, onNews: options.onNews };
        return await collect(hostFederation(pretrained, hosting), options);
      } finally {
        await connection.close();
      }
    },
    async join(name, federation) {
      const connection = await connectNats(nats.url);
      try {
        const invitation = await readInvitation({ connection, federation, name });
        const train = prepare(await examplesOf(name));
        const events = joinFederation(pretrained, { connection, invitation, name, train });
        while (!(await events.next()).done);
      } finally {
        await connection.close();
      }
    },
    async simulate({ method, local, ...settings }) {
      const parts = await Promise.all(Object.keys(rowsOf).map((name) => examplesOf(name)));
      const train = prepare(parts.flat());
      let first = 0;
      const run = simulate(pretrained, {
        ...settings,
        method: createMethod(method),
        codec: undefined,
        learningRate: method.learningRate,
        work: { epochs: local.epochs! },
        train,
        test: train,
        clients: parts.map(({ length }) => Array.from({ length }, () => first++)),
        blockSize: 1,
        evaluateEvery: 0,
        aggregator: undefined,
        clientsPerRound: parts.length,
      });
      return await collect(run);
    },
    async close() {
      gpu.close();
      await pages.close();
      await nats.stop();
    },
  };
}

/** Values of what is trained, by name. */
async function trainedValues(model: TaskModel): Promise<Map<string, Float32Array>> {
  const isTrained = (name: string) => name.startsWith("head.") || /\.lora[AB]$/.test(name);
  const named = [...model.namedParameters()].filter(([name]) => isTrained(name));
  const values = named.map(async ([name, each]) => [name, await each.floats()] as const);
  return new Map(await Promise.all(values));
}
