import { HubError } from "./errors.ts";
import { excerpt } from "../data/text/excerpt.ts";
import { isExactVersion, isNpmName } from "./npm/npm_name.ts";

/** Where a model's files are, as a spec names it. */
export type ModelSpec =
  /** A repository of the hub: `name` or `owner/name`, and a branch, tag or commit. */
  | { readonly kind: "hf"; readonly repo: string; readonly revision: string }
  /** A folder (`""`: the top) of one exact version of an npm package. */
  | { readonly kind: "npm"; readonly name: string; readonly version: string; readonly folder: string }
  /** A folder of this machine. */
  | { readonly kind: "folder"; readonly path: string };

/**
 * Reads `hf:owner/name[@revision]`, `npm:package@version[/folder]` or else a path.
 *
 * @throws {HubError} `invalid` when what follows `hf:` or `npm:` is malformed.
 *
 * @example
 * ```ts
 * parseModelSpec("hf:distilbert/distilbert-base-uncased@main");
 * // { kind: "hf", repo: "distilbert/distilbert-base-uncased", revision: "main" }
 * ```
 */
export function parseModelSpec(spec: string): ModelSpec {
  if (spec.startsWith("hf:")) return parseHub(spec);
  if (spec.startsWith("npm:")) return parseNpm(spec);
  return { kind: "folder", path: spec };
}

/** Whether a text could name a repository of the hub: at most one slash, the hub's characters. */
export function isRepoName(text: string): boolean {
  return text.split("/").length <= 2 &&
    text.split("/").every((part) => /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/.test(part)) &&
    // The cache writes a slash as two hyphens.
    !/--|\.\.|\.git$/.test(text);
}

function parseHub(spec: string): ModelSpec {
  const [, repo = "", revision = "main"] = /^hf:([^@]*)(?:@(.*))?$/s.exec(spec)!;
  if (!isRepoName(repo)) {
    throw new HubError(
      `Cannot read model spec: the hub has names like owner/name, got ${excerpt(spec)}`,
      "invalid",
    );
  }
  if (!isRevision(revision)) {
    throw new HubError(
      `Cannot read model spec: after @ comes a branch, tag or commit, got ${excerpt(spec)}`,
      "invalid",
    );
  }
  return { kind: "hf", repo, revision };
}

/** A revision is also a path below `refs` of the cache, which must not lead elsewhere. */
function isRevision(text: string): boolean {
  return text.length <= 250 && text.split("/").every((part) => /^[\w][\w.+-]*$/.test(part)) &&
    !text.includes("..");
}

function parseNpm(spec: string): ModelSpec {
  const [, name = "", version = "", folder = ""] = /^npm:((?:@[^/@]*\/)?[^/@]*)(?:@([^/]*))?(?:\/(.*))?$/s
    .exec(spec)!;
  if (!isNpmName(name)) {
    throw new HubError(
      `Cannot read model spec: it should be npm:package@version or npm:package@version/folder with a package's name ` +
        `like model or @scope/model, got ${excerpt(spec)}`,
      "invalid",
    );
  }
  if (!isExactVersion(version)) {
    throw new HubError(
      `Cannot read model spec: an npm package needs an exact version such as ${name}@1.0.0, got ${
        excerpt(spec)
      }`,
      "invalid",
    );
  }
  return { kind: "npm", name, version, folder: folder.replace(/\/$/, "") };
}
