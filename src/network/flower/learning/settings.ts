import { z } from "zod";
import { ConfigError, parseWith } from "../../../experiment/config/parse_config.ts";
import { methods } from "../../../fl/mod.ts";
import { type LocalOptimizer, type LocalWork, type TaskKind, taskKinds } from "../../../tasks/mod.ts";
import type { ConfigRecord, ConfigValue } from "../records/record.ts";
import { RefusedRunError } from "./refusal.ts";
import { servedMethods } from "./served_methods.ts";

/** Of what the messages of `examples/flower` say. */
export const SETTINGS_VERSION = 1;

const count = z.int().min(1);
const hash = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");

/** What a server says with every message, beside the options of its method. */
const runFields = {
  federa: z.literal(SETTINGS_VERSION),
  method: z.enum(servedMethods),
  task: z.enum(taskKinds as [TaskKind, ...TaskKind[]]).default("sequence-classification"),
  labels: z.array(z.string().min(1).max(1000)).min(1).max(2 ** 16),
  pooling: z.enum(["mean", "cls", "pooler"]).optional(),
  "max-length": count.max(2 ** 16).default(64),
  "local-steps": count.max(1e6).optional(),
  "local-epochs": count.max(1e6).optional(),
  "batch-size": count.max(2 ** 16).default(8),
  optimizer: z.enum(["adamw", "sgd"]).default("adamw"),
  beta1: z.number().min(0).lt(1).optional(),
  beta2: z.number().min(0).lt(1).optional(),
  epsilon: z.number().gt(0).optional(),
  momentum: z.number().min(0).lt(1).optional(),
  "weight-decay": z.number().min(0).optional(),
  "learning-rate": z.number().gt(0).max(1e6),
  "clip-norm": z.number().gt(0).max(1e6).optional(),
  seed: z.int().min(0).default(1),
  rounds: count.max(1e6),
  "num-clients": count.max(1e7),
  "server-round": count.max(1e6).optional(),
  "last-round": z.int().min(0).max(1e6).optional(),
  "start-by": z.enum(["nodes", "server"]).default("nodes"),
  "base-hash": hash.optional(),
  "start-hash": hash.optional(),
  "wants-start": z.boolean().default(false),
  scores: z.array(z.string().min(1)).optional(),
};

/** What a message says of itself alone; all else is the same in every message of a run. */
const ofTheMessage = [
  "learning-rate",
  "server-round",
  "last-round",
  "base-hash",
  "start-hash",
  "wants-start",
  "scores",
];

/** What a server asks for, checked. */
export interface FlowerSettings {
  readonly method: (typeof servedMethods)[number];
  /** The method's own options, by their names. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly task: TaskKind;
  /** Names of the outputs, in their order. */
  readonly labels: readonly string[];
  readonly pooling?: "mean" | "cls" | "pooler" | undefined;
  readonly maxLength: number;
  readonly work: LocalWork;
  readonly batchSize: number;
  readonly optimizer: LocalOptimizer;
  readonly learningRate: number;
  readonly clipNorm?: number | undefined;
  readonly seed: number;
  readonly rounds: number;
  readonly numClients: number;
  /** From 1; a query has none. */
  readonly serverRound?: number | undefined;
  /** The last round of which the server has this node's upload, where it says so. */
  readonly lastRound?: number | undefined;
  /** Who makes the starting values: every node from its own weights, or the server. */
  readonly startBy: "nodes" | "server";
  /** Of the base model and the start that all have. */
  readonly baseHash?: string | undefined;
  readonly startHash?: string | undefined;
  /** Whether the server asks for the start itself. */
  readonly wantsStart: boolean;
  /** The scores to send; all of the task's by default. */
  readonly scores?: readonly string[] | undefined;
  /** All that must be the same in every message of a run, as text. */
  readonly identity: string;
}

/**
 * Checks what a server asks for, as the ServerApp of `examples/flower` says it.
 *
 * @throws {RefusedRunError} listing every setting that is missing, wrong or unknown.
 */
export function readSettings(record: ConfigRecord | undefined): FlowerSettings {
  const given = Object.fromEntries(
    [...record?.values ?? []].map(([name, value]) => [name, plainValue(name, value)]),
  );
  if (given["federa"] !== SETTINGS_VERSION) {
    throw new RefusedRunError(
      `Cannot take part in this run: expected settings of version ${SETTINGS_VERSION} (federa = ${SETTINGS_VERSION}), got ` +
        `${
          given["federa"] ?? "none"
        }; serve it with the ServerApp of examples/flower, or send what that sends`,
    );
  }
  const options = optionsOf(given["method"]);
  const schema = z.strictObject({
    ...runFields,
    ...Object.fromEntries(Object.entries(options).map(([name, field]) => [dashed(name), field])),
  }).superRefine((settings, context) => {
    if (("local-steps" in settings) === ("local-epochs" in settings)) {
      context.addIssue({
        code: "custom",
        path: ["local-steps"],
        message: "expected local-steps or local-epochs, one of them",
      });
    }
  });
  const settings = parse(schema, given) as Settings;
  return {
    method: settings.method,
    options: Object.fromEntries(
      Object.keys(options).flatMap((name) => {
        const value = (settings as Record<string, unknown>)[dashed(name)];
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    task: settings.task,
    labels: settings.labels,
    pooling: settings.pooling,
    maxLength: settings["max-length"],
    work: settings["local-steps"] === undefined
      ? { epochs: settings["local-epochs"]! }
      : { steps: settings["local-steps"] },
    batchSize: settings["batch-size"],
    optimizer: optimizerOf(settings),
    learningRate: settings["learning-rate"],
    clipNorm: settings["clip-norm"],
    seed: settings.seed,
    rounds: settings.rounds,
    numClients: settings["num-clients"],
    serverRound: settings["server-round"],
    lastRound: settings["last-round"],
    startBy: settings["start-by"],
    baseHash: settings["base-hash"],
    startHash: settings["start-hash"],
    wantsStart: settings["wants-start"],
    scores: settings.scores,
    identity: identityOf(settings),
  };
}

type Settings = z.output<z.ZodObject<typeof runFields>>;

/** The fields of a method's options; none where the method isn't known, which the schema says then. */
function optionsOf(method: unknown): z.ZodRawShape {
  const known = servedMethods.find((name) => name === method);
  return known === undefined ? {} : methods.get(known)!.definition.options.shape;
}

function parse<Schema extends z.ZodType>(schema: Schema, given: unknown): z.output<Schema> {
  try {
    return parseWith(schema, given, "the server's settings");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new RefusedRunError(error.message, { cause: error });
  }
}

/** With the options that its optimiser has. */
function optimizerOf(settings: Settings): LocalOptimizer {
  const { optimizer, beta1, beta2, epsilon, momentum, "weight-decay": weightDecay } = settings;
  const given = optimizer === "sgd" ? { momentum, weightDecay } : { beta1, beta2, epsilon, weightDecay };
  const odd = optimizer === "sgd" ? { beta1, beta2, epsilon } : { momentum };
  const name = Object.entries(odd).find(([, value]) => value !== undefined && value !== 0)?.[0];
  if (name !== undefined) {
    throw new RefusedRunError(`Cannot use the server's settings: ${name} plays no part in ${optimizer}`);
  }
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { name: optimizer, ...stated };
}

function identityOf(settings: Settings): string {
  const lasting = Object.entries(settings).filter(([name, value]) =>
    value !== undefined && !ofTheMessage.includes(name)
  );
  return JSON.stringify(Object.fromEntries(lasting.sort(([a], [b]) => a < b ? -1 : 1)));
}

function plainValue(name: string, value: ConfigValue): unknown {
  if (Array.isArray(value)) return value.map((each: ConfigValue) => plainValue(name, each));
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new RefusedRunError(
    `Cannot use the server's settings: expected ${name} up to 2^53 - 1, got ${value}`,
  );
}

/** `localSteps` as `local-steps`, the way that Flower's keys are written. */
function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
