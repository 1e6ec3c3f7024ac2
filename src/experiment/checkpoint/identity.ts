import type { Backbone } from "../../models/mod.ts";
import type { Config, MethodConfig } from "../config/config.ts";
import { dependsOnRounds } from "../config/privacy_config.ts";
import type { TaskSet } from "../../tasks/mod.ts";
import type { Preparation } from "../run/prepare.ts";
import type { Replicate } from "../run/replicate.ts";
import { contentHash } from "./content_hash.ts";
import { hashParameters } from "./hash_parameters.ts";

/** What the bits of a method's rounds follow from: it goes on from a state only if all of it is as it was. */
export interface Identity {
  /** The part of the configuration that determines bits, as JSON with sorted keys. */
  readonly configuration: string;
  /** SHA-256 of `configuration`. */
  readonly configurationHash: string;
  /** SHA-256 of the tokens and targets that are trained on, and of who holds which. */
  readonly trainHash: string;
  /** SHA-256 of the tokens and targets that are scored. */
  readonly testHash: string;
  /** SHA-256 of every value of the pretrained encoder. */
  readonly baseHash: string;
}

/** The parts of an {@linkcode Identity}. */
export const identityParts = [
  "configuration",
  "configurationHash",
  "trainHash",
  "testHash",
  "baseHash",
] as const;

/**
 * Raised whenever the same configuration, data and base give other bits than before, such as adapters that start elsewhere: factors
 * that were trained beside one start are wrong beside another.
 */
export const arithmetic = 2;

/**
 * What the bits of a method follow from in one replicate. Left out are a run's name and folder, block size, memory limit,
 * checkpointing, what is measured and when it is evaluated, when it ends, and where data and model lie: their contents count. The
 * number of rounds counts only where the learning rate or the noise of private clients depends on it.
 */
export async function identityOf(
  preparation: Preparation,
  method: MethodConfig,
  { draw, seed }: Replicate,
): Promise<Identity> {
  const { config, model: { encoder }, task: { labels }, tuning, draws } = preparation;
  const { train, test, clients, testClients } = draws.get(draw)!;
  const { label: _, ...options } = method;
  return identityFor({
    configuration: {
      ...decisive(config),
      method: options,
      seed,
      labels,
      clientsPerRound: config.clientsPerRound ?? clients.length,
      ...((config.schedule.kind !== "constant" || dependsOnRounds(method.privacy)) &&
        { rounds: config.rounds }),
    },
    trainHash: contentHash([hashOf(train), clients]),
    testHash: contentHash([hashOf(test), tuning && hashOf(tuning), testClients]),
    baseHash: await encoderHash(encoder),
  });
}

/** The identity of a run whose bits follow from these parts; what is undefined in the configuration doesn't count. */
export function identityFor(
  { configuration: decisive, ...hashes }:
    & { readonly configuration: object }
    & Pick<Identity, "trainHash" | "testHash" | "baseHash">,
): Identity {
  const configuration = sortedJson({ ...decisive, "federa's arithmetic": arithmetic });
  return { configuration, configurationHash: contentHash(configuration), ...hashes };
}

/** A configuration without what changes no bit, and what stands in an identity by itself. */
function decisive(config: Config): object {
  const {
    name: _name,
    output: _output,
    seed: _seed,
    draws: _draws,
    seeds: _seeds,
    data: _data,
    partition: _partition,
    methods: _methods,
    rounds: _rounds,
    blockSize: _blockSize,
    maxGpuBytes: _maxGpuBytes,
    checkpointing: _checkpointing,
    evaluateEvery: _evaluateEvery,
    evaluateOn: _evaluateOn,
    measures: _measures,
    privacy: _privacy,
    target: _target,
    stopEarly: _stopEarly,
    keepBest: _keepBest,
    maxDeviceLosses: _maxDeviceLosses,
    clientState: _clientState,
    model: { source: _source, ...model },
    ...rest
  } = config;
  return { ...rest, model };
}

const setHashes = new WeakMap<TaskSet, string>();

/** The content hash of a set, computed once. */
function hashOf(set: TaskSet): string {
  const hash = setHashes.get(set) ?? contentHash(set);
  setHashes.set(set, hash);
  return hash;
}

const baseHashes = new WeakMap<Backbone, Promise<string>>();

/** SHA-256 of every value of an encoder, read once and one parameter at a time. */
export function encoderHash(encoder: Backbone): Promise<string> {
  const known = baseHashes.get(encoder);
  if (known !== undefined) return known;
  const found = hashParameters(encoder.namedParameters());
  baseHashes.set(encoder, found);
  return found;
}

function sortedJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, each: unknown) =>
      typeof each === "object" && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
        : each,
  );
}

/**
 * What differs between two identities, in words.
 *
 * @param before of the state that was saved.
 */
export function describeChanges(before: Identity, now: Identity): string[] {
  const changes: string[] = [];
  if (before.configuration !== now.configuration) {
    changes.push(...differences(JSON.parse(before.configuration), JSON.parse(now.configuration)));
  }
  const hashes = {
    trainHash: "the examples to train on, or which client holds which",
    testHash: "the examples to evaluate on",
    baseHash: "the weights of the pretrained model",
  } as const;
  for (const [key, what] of Object.entries(hashes) as [keyof typeof hashes, string][]) {
    if (before[key] !== now[key]) {
      changes.push(`${what} (SHA-256 was ${short(before[key])}, is ${short(now[key])})`);
    }
  }
  return changes;
}

function short(hash: string): string {
  return `${hash.slice(0, 8)}…`;
}

function differences(before: unknown, now: unknown, path = ""): string[] {
  const show = (value: unknown) => value === undefined ? "not there" : JSON.stringify(value);
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(before) || !isObject(now)) {
    return JSON.stringify(before) === JSON.stringify(now)
      ? []
      : [`${path}: was ${show(before)}, is ${show(now)}`];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].flatMap((key) => differences(before[key], now[key], path === "" ? key : `${path}.${key}`));
}
