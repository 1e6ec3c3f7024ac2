import { readFile } from "node:fs/promises";
import process from "node:process";
import { openModelFiles } from "../../../src/hub/mod.ts";
import { noGrad, openGpu, tensor, tidy } from "../../../src/engine/mod.ts";
import { loadTokenizer, openPretrained, readSentencePooling } from "../../../src/models/mod.ts";

const [folder, expected] = process.argv.slice(2);
if (folder === undefined || expected === undefined) {
  throw new TypeError("Expected a model's folder and a file of vectors");
}

/** A text and its vector of length 1. */
interface Expected {
  readonly text: string;
  readonly vector: readonly number[];
}

const wanted = JSON.parse(await readFile(expected, "utf8")) as Expected[];
const files = await openModelFiles(folder);
using gpu = await openGpu();
const pooling = await readSentencePooling(files);
const { encoder } = await openPretrained(gpu, files, { pooling });
const tokenizer = await loadTokenizer(files);
let worst = 0;
for (const { text, vector } of wanted) {
  // What the encoder's authors cut texts to.
  const { inputIds, attentionMask, tokenTypeIds, batchSize, length } = tokenizer.encodeBatch([text], {
    maxLength: 256,
  });
  const shape = [batchSize, length];
  const pooled = tidy(() =>
    noGrad(() => {
      const tokens = {
        inputIds: tensor(gpu, inputIds, { shape }),
        attentionMask: tensor(gpu, attentionMask, { shape }),
        ...(tokenTypeIds && { tokenTypeIds: tensor(gpu, tokenTypeIds, { shape }) }),
      };
      return encoder.pool(encoder.encode(tokens), tokens);
    })
  );
  const found = await pooled.floats();
  pooled.dispose();
  const norm = Math.hypot(...found);
  found.forEach((value, i) => worst = Math.max(worst, Math.abs(value / norm - vector[i]!)));
}
console.log(`${wanted.length} vectors, pooled by ${pooling}: largest difference ${worst.toExponential(2)}`);
if (!(worst <= 1e-4)) process.exitCode = 1;
