import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { errorCode } from "../../data/files/error_code.ts";
import { HubError } from "../errors.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The hub's settings from the environment. */
export interface HubSettings {
  /** The cache that is shared with Python's `huggingface_hub`, an absolute path. */
  readonly cacheFolder: string;
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** Whether the hub must not be asked. */
  readonly offline: boolean;
  /** Whether the cache may use symbolic links. */
  readonly links: boolean;
}

const DEFAULT_ENDPOINT = "https://huggingface.co";

/**
 * Reads the variables of `huggingface_hub` with its rules and its precedence: `HF_HUB_CACHE`, `HF_HOME`,
 * `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_DISABLE_SYMLINKS`,
 * `HF_HUB_OFFLINE` and their older names. An empty variable counts as unset.
 *
 * @throws {HubError} `invalid` when the endpoint is no address, or the token has characters that no header may carry.
 */
export async function readHubSettings(environment: Environment): Promise<HubSettings> {
  const home = environment["HOME"] || homedir();
  const path = (name: string) => {
    const value = environment[name];
    return value ? expand(value, home, environment) : undefined;
  };
  const root = path("HF_HOME") ?? join(path("XDG_CACHE_HOME") ?? join(home, ".cache"), "huggingface");
  const cache = path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? join(root, "hub");
  return {
    cacheFolder: resolve(cache),
    endpoint: checkEndpoint(environment["HF_ENDPOINT"] || DEFAULT_ENDPOINT),
    token: await readToken(environment, path("HF_TOKEN_PATH") ?? join(root, "token")),
    offline: isTrue(environment["HF_HUB_OFFLINE"] || environment["TRANSFORMERS_OFFLINE"]),
    links: !isTrue(environment["HF_HUB_DISABLE_SYMLINKS"]),
  };
}

function checkEndpoint(text: string): string {
  const endpoint = text.replace(/\/+$/, "");
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) &&
    url.search + url.hash + url.username + url.password === "";
  if (!isPlain) {
    // Anything else may be a token in the wrong place, and an address may carry a password.
    const got = url !== undefined && /^https?:$/.test(url.protocol)
      ? `${url.protocol}//${url.host} with a user name, a password, a query or a fragment`
      : "something that is not a web address";
    throw new HubError(
      `Cannot use HF_ENDPOINT: it should be an address like ${DEFAULT_ENDPOINT}, got ${got}`,
      "invalid",
    );
  }
  return endpoint;
}

async function readToken(environment: Environment, path: string): Promise<string | undefined> {
  const given = environment["HF_TOKEN"] || environment["HUGGING_FACE_HUB_TOKEN"];
  const implicit = !isTrue(environment["HF_HUB_DISABLE_IMPLICIT_TOKEN"]);
  const token = (given || (implicit ? await readIfPresent(path) : ""))?.trim();
  if (!token) return undefined;
  if (!/^[\x21-\x7e]+$/.test(token)) {
    const where = given ? "HF_TOKEN" : path;
    // The token itself stays out of messages.
    throw new HubError(
      `Cannot use the token in ${where}: it has characters that no token contains`,
      "invalid",
    );
  }
  return token;
}

async function readIfPresent(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return "";
    throw error;
  }
}

/** `~` at the start and `$NAME` or `${NAME}` anywhere, as Python's `expanduser` and `expandvars`. */
function expand(path: string, home: string, environment: Environment): string {
  return path.replace(/^~(?=$|[\\/])/, () => home)
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced, bare) => environment[braced ?? bare] ?? whole);
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes(value?.toUpperCase() ?? "");
}
