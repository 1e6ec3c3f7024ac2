import { HubError } from "../errors.ts";
import { excerpt } from "../../data/text/excerpt.ts";

/**
 * Checks that a file name inside a model, such as `1_Pooling/config.json`, stays inside: such names also come from
 * untrusted index files. The rules of all systems apply at once, since a cache may be read on another one.
 *
 * @throws {HubError} `invalid` for an empty, absolute or climbing name, a backslash, a drive, a control character
 * or half a surrogate pair.
 */
export function checkFileName(name: string): void {
  const isPlain = name.split("/").every((part) =>
    part !== "" && part !== "." && part !== ".." && !/^[A-Za-z]:/.test(part)
  );
  // deno-lint-ignore no-control-regex
  if (isPlain && !/[\\\x00-\x1f\x7f]|\p{Cs}/u.test(name)) return;
  throw new HubError(
    `Cannot use file name ${excerpt(name)}: a name inside a model has no "..", no backslash and no root`,
    "invalid",
  );
}
