import { excerpt } from "../../data/text/excerpt.ts";

/** Starts with a letter or digit: no option of a program, no hidden file, no way up. */
const PART = /^[A-Za-z0-9][\w.~-]*$/;

/** Semantic versioning 2.0.0, without a `v`, ranges and tags. */
const EXACT =
  /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** Endings that make npm read a local file. */
const FILE = /\.(?:tgz|tar\.gz|tar)$/i;

/** Names that npm's registry itself refuses. */
const RESERVED = new Set(["node_modules", "favicon.ico"]);

/**
 * Whether a text is the name of a package in npm's registry, such as `name` or `@scope/name`, by the rules of
 * `validate-npm-package-name` for packages of any age, except old names that are unsafe in a folder or on a command line
 * (`_x`, `~x`, `x.tgz`). It can be no URL, path, git repository or option.
 */
export function isNpmName(text: string): boolean {
  const parts = text.startsWith("@") ? text.slice(1).split("/") : [text];
  return text.length <= 214 && parts.length === (text.startsWith("@") ? 2 : 1) &&
    parts.every((part) => PART.test(part)) && !FILE.test(text) && !RESERVED.has(text.toLowerCase());
}

/** Whether a text is one version of a package, such as `1.0.0` or `2.1.0-rc.1`: not a tag, a range or anything else that npm accepts. */
export function isExactVersion(text: string): boolean {
  return text.length <= 256 && EXACT.test(text) && !FILE.test(text);
}

/**
 * Checks that a name and a version identify one version of a package in npm's registry.
 *
 * @throws {TypeError} otherwise.
 */
export function checkNpmPackage(
  { name, version }: { readonly name: string; readonly version: string },
): void {
  if (isNpmName(name) && isExactVersion(version)) return;
  throw new TypeError(
    `Cannot use npm package: expected a name like @scope/name and a version like 1.0.0, got ${
      excerpt(name)
    } and ${excerpt(version)}`,
  );
}
