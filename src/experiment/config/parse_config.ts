import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { type Config, configSchema } from "./config.ts";
import { decodeText } from "../../data/rows/text/decode_text.ts";
import { describeIssue } from "../../data/text/describe_issue.ts";
import { isRepoName, parseModelSpec } from "../../hub/model_spec.ts";
import { nearestKey } from "../../data/text/nearest_key.ts";
import { findJsonProblem } from "./json_problem.ts";
import { describeChoice, show } from "./describe_choice.ts";
import { USE_LITE } from "./model_config.ts";
import { FederaError } from "../../engine/errors.ts";

/** The longest configuration that is read. */
const maxBytes = 16 << 20;

/** A configuration cannot be used; the message lists every problem with its place. */
export class ConfigError extends FederaError {
  override name = "ConfigError";
}

/**
 * Checks a configuration and fills in its defaults.
 *
 * @param source where it comes from, for the message.
 * @throws {ConfigError} naming the place of every problem, what was expected and, for an unknown key, the nearest known.
 */
export function parseConfig(value: unknown, source = "the configuration"): Config {
  return parseWith(configSchema, value, source);
}

/**
 * Checks a value by a schema and fills in its defaults.
 *
 * @param source where it comes from, for the message.
 * @throws {ConfigError} as {@linkcode parseConfig}.
 */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  source: string,
): z.output<Schema> {
  const { success, data, error } = schema.safeParse(value, { error: describe });
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => `  ${place(path)}: ${message}`);
  throw new ConfigError(`Cannot use ${source}:\n${problems.join("\n")}`);
}

/**
 * Reads a configuration file; paths of data and models in it are relative to its folder.
 *
 * @throws {ConfigError} if the file cannot be read, is not JSON, is not a configuration, or its model's folder isn't there.
 * @throws {HubError} if its model's name isn't a valid one.
 */
export async function readConfig(path: string): Promise<Config> {
  const config = parseConfig(await readJsonFile(path), path);
  await checkSource(config, path);
  return resolvePaths(config, (file) => resolve(dirname(path), file));
}

/**
 * Checks that the model of a configuration is there, if it's a folder, or has a name that may be one.
 *
 * @param path of the configuration, whose folder that of the model is relative to.
 * @throws as {@linkcode readConfig}.
 */
export async function checkSource({ model: { source } }: Pick<Config, "model">, path: string): Promise<void> {
  if (isPath(source)) await checkFolder(source, resolve(dirname(path), source), path);
  else if (source !== USE_LITE) parseModelSpec(source);
}

/**
 * The JSON in a file.
 *
 * @throws {ConfigError} if the file cannot be read or is not JSON.
 */
export async function readJsonFile(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

/** A configuration with other paths of its data and its model. */
export function resolvePaths(config: Config, at: (file: string) => string): Config {
  const { data, model } = config;
  const atEach = (files: string | string[]) => typeof files === "string" ? at(files) : files.map(at);
  return {
    ...config,
    model: resolveSource(model, at),
    data: data.kind === "files"
      ? { ...data, train: atEach(data.train), ...(data.test && { test: atEach(data.test) }) }
      : data,
  };
}

/** A model whose folder, if it is one, has another path. */
export function resolveSource(model: Config["model"], at: (file: string) => string): Config["model"] {
  return { ...model, source: isPath(model.source) ? at(model.source) : model.source };
}

async function checkFolder(source: string, folder: string, path: string): Promise<void> {
  const info = await stat(folder).catch((error: NodeJS.ErrnoException) => error);
  if (!(info instanceof Error) && info.isDirectory()) return;
  const what = info instanceof Error
    ? info.code === "ENOENT" ? `there is no folder ${folder}` : info.message
    : `${folder} is not a folder`;
  const meant = isRepoName(source)
    ? `did you mean "hf:${source}"?`
    : "a model is a folder, hf:owner/name or npm:package@version";
  throw new ConfigError(`Cannot use ${path}:\n  model.source: ${what}; ${meant}`);
}

function isPath(source: string): boolean {
  return source !== USE_LITE && !/^(hf|npm|file):/.test(source);
}

async function readText(path: string): Promise<string> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) {
      throw new ConfigError(`Cannot read ${path}: it is a folder; give the configuration's file in it`);
    }
    const { size } = info;
    if (size > maxBytes) {
      throw new ConfigError(
        `Cannot read ${path}: a configuration may have at most ${maxBytes} bytes, got ${size}`,
      );
    }
    return decodeText(await readFile(path), path);
  } catch (cause) {
    if (cause instanceof FederaError) throw cause;
    throw new ConfigError(`Cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/**
 * The JSON of a file, with or without a byte order mark.
 *
 * @throws {ConfigError} if it isn't JSON, or an object in it has a key twice.
 */
export function parseJson(text: string, path: string): unknown {
  const json = text.replace(/^\ufeff/, "");
  const refuse = (what: string, cause?: unknown) => new ConfigError(`Cannot use ${path}: ${what}`, { cause });
  if (json.trim() === "") throw refuse("it is empty, expected JSON");
  const problem = findJsonProblem(json);
  if (problem !== undefined) {
    throw refuse(`not proper JSON, line ${problem.line}: ${problem.message}`);
  }
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw refuse(`not JSON, ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function place(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text && `${text}.${String(part)}` || String(part),
    "",
  ) || "top level";
}

/** Says what was expected and what was found; nothing where the schema's own message is clearer. */
function describe(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => describeKey(key, knownKeys(issue.inst))).join("; ");
    case "invalid_value":
      return describeChoice(issue.values.map(String), issue.input);
    case "invalid_union": {
      if (issue["discriminator"] === undefined) return describeIssue(issue, show);
      const input = issue.input as Record<string, unknown> | undefined;
      const options = (issue as { options?: unknown[] }).options ?? [];
      return describeChoice(options.map(String), input?.[String(issue["discriminator"])]);
    }
    default:
      return describeIssue(issue, show);
  }
}

function describeKey(key: string, known: readonly string[]): string {
  const nearest = nearestKey(key, known);
  return `unknown key ${show(key)}; ${
    nearest ? `did you mean "${nearest}"?` : `known are ${known.join(", ")}`
  }`;
}

function knownKeys(schema: unknown): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}
