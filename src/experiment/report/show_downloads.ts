import type { ModelFileProgress, NpmPackage, NpmPackageProgress } from "../../hub/mod.ts";
import { megabytes } from "../text/megabytes.ts";
import type { Reporter } from "./reporter.ts";

/** Returns a callback that shows the download of a package with its size and licence, and nothing for a cached one. */
export function showDownload(
  reporter: Reporter,
  { size }: NpmPackage,
  description: string,
): (progress: NpmPackageProgress) => void {
  let started = false;
  return ({ phase, bytes }) => {
    if (phase === "ready") return reporter.endProgress();
    if (!started) reporter.line(`Downloading ${description}, ${megabytes(size)} MB`);
    started = true;
    reporter.progress("downloading", bytes, size, { unit: "bytes" });
  };
}

/** Returns a callback that shows the downloads of a model's files. */
export function showModelFiles(reporter: Reporter): (progress: ModelFileProgress) => void {
  let current: string | undefined;
  return ({ file, phase, bytes, total }) => {
    if (phase === "ready") return reporter.endProgress();
    if (file !== current) {
      current = file;
      reporter.line(`Downloading ${file}${total === undefined ? "" : `, ${megabytes(total)} MB`}`);
    }
    if (total !== undefined) reporter.progress(`downloading ${file}`, bytes, total, { unit: "bytes" });
  };
}
