// Writes use_lite_spectra.json beside it: `node --import ./scripts/register.mjs test/engine/linalg/golden/generate.ts`.
// Run by hand, once: the float64 oracle's singular values of the encoder's weight matrices take minutes.
import { renameSync, writeFileSync } from "node:fs";
import { F64Array } from "../../../reference/array.ts";
import { householderQr } from "../../../reference/qr.ts";
import { bestRankError, jacobiSvd } from "../../../reference/svd.ts";
import { transpose } from "../../../reference/shape.ts";
import { decomposedWeights, readUseLite } from "../use_lite_weights.ts";

const spectra: Record<
  string,
  { shape: readonly number[]; leading: number[]; errors: Record<string, number> }
> = {};
for (const [name, { shape, data }] of decomposedWeights(await readUseLite())) {
  const matrix = F64Array.from(shape, data);
  const tall = shape[0]! >= shape[1]! ? matrix : transpose(matrix);
  const { s } = jacobiSvd(householderQr(tall).r);
  const digits = (value: number) => Number(value.toPrecision(10));
  spectra[name] = {
    shape,
    leading: Array.from(s.subarray(0, 32), digits),
    errors: Object.fromEntries(
      [4, 8, 16, 32].map((rank) => [rank, digits(bestRankError(s, rank).frobenius)]),
    ),
  };
  console.log(name, shape, spectra[name].errors);
}
const target = new URL("./use_lite_spectra.json", import.meta.url);
const temporary = new URL("./use_lite_spectra.json.tmp", import.meta.url);
writeFileSync(temporary, JSON.stringify(spectra, null, 1) + "\n");
renameSync(temporary, target);
