import {
  baseModelOf,
  cacheFolder,
  fetchNpmPackage,
  HistoryWriter,
  loadSpamAssassin,
  loadUseLite,
  localModelFiles,
  makeFolder,
  npmPackageFolder,
  openGpu,
  openLocalFile,
  openModelFiles,
  readExamples,
  readHistory,
  readJsonl,
  readNpmPackage,
  readRows,
  readTextExamples,
  SafetensorsFile,
  saveWeights,
  writeFileAtomic,
  writePeft,
  writeSafetensors,
  writeStreamAtomic,
} from "../../src/mod.ts";

type Arguments<F> = F extends (...args: infer A) => unknown ? A : never;

/** A call whose later arguments don't matter, as it fails before it looks at them. */
function withAny<F extends (...args: never[]) => unknown>(f: F, ...first: unknown[]): unknown {
  return f(...first as Arguments<F>);
}

const pinned = { name: "a", version: "1.0.0", integrity: `sha512-${"A".repeat(86)}==`, size: 1 };
const files = localModelFiles({ source: "a", has: async () => true, path: async () => "a/config.json" });
const noTensors = { entries: new Map(), read: () => Promise.reject(new Error("there is none")) };

/** Calls of all that needs Node, by what is called; a second word tells the ways to call one. */
export const nodeOnlyCalls: Readonly<Record<string, () => unknown>> = {
  "HistoryWriter": () => new HistoryWriter("history.jsonl"),
  "SafetensorsFile": () => SafetensorsFile.open("model.safetensors"),
  "baseModelOf": () => baseModelOf(files),
  "cacheFolder": () => cacheFolder(),
  "fetchNpmPackage": () => fetchNpmPackage(pinned),
  "loadSpamAssassin": () => loadSpamAssassin(),
  "loadUseLite": async () => withAny(loadUseLite, await openGpu()),
  "localModelFiles": () => files.open("config.json"),
  "makeFolder": () => makeFolder("folder"),
  "npmPackageFolder": () => npmPackageFolder(pinned),
  "openLocalFile": () => openLocalFile("config.json"),
  "openModelFiles of a folder": () => openModelFiles("./model"),
  "openModelFiles of a file: address": () => openModelFiles("file:///model"),
  "openModelFiles of the hub": () => openModelFiles("hf:owner/name"),
  "openModelFiles of npm": () => openModelFiles("npm:package@1.0.0"),
  "readExamples": () => readExamples("data.jsonl", "sequence-classification"),
  "readHistory": () => readHistory("history.jsonl"),
  "readJsonl": () => readJsonl("data.jsonl"),
  "readNpmPackage": () => readNpmPackage(pinned, () => true),
  "readRows of JSONL": () => readRows("data.jsonl"),
  "readRows of JSON": () => readRows("data.json"),
  "readRows of CSV": () => readRows("data.csv"),
  "readRows of TSV": () => readRows("data.tsv"),
  "readRows of Parquet": () => readRows("data.parquet"),
  "readRows of CoNLL": () => readRows("data.conll"),
  "readTextExamples": () => readTextExamples("data.jsonl"),
  "saveWeights": () => saveWeights("folder", noTensors),
  "writeFileAtomic": () => writeFileAtomic("file", "text"),
  "writePeft": () => withAny(writePeft, "folder", { config: {}, tensors: new Map() }),
  "writeSafetensors": () => writeSafetensors("model.safetensors", noTensors),
  "writeStreamAtomic": () => withAny(writeStreamAtomic, "file", async () => {}),
};
