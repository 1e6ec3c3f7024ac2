import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { toBf16, toF16 } from "../../../src/fl/transport/short_floats.ts";

/** Float32 numbers and what numpy and torch round them to, as bits; null for infinity. */
const golden: Record<"bits" | "f16" | "bf16", (number | null)[]> = JSON.parse(
  readFileSync(new URL("../../golden/short_floats/rounded.json", import.meta.url), "utf8"),
);
const values = new Float32Array(Uint32Array.from(golden.bits as number[]).buffer);

for (const [name, convert, largest] of [["f16", toF16, 0x7bff], ["bf16", toBf16, 0x7f7f]] as const) {
  it(`${name === "f16" ? "toF16" : "toBf16"}() rounds as ${name === "f16" ? "numpy" : "torch"} does, and never to infinity`, () => {
    const expected = golden[name].map((bits, i) => bits ?? (values[i]! < 0 ? 0x8000 | largest : largest));
    assert.deepEqual([...convert(values)], expected);
    assert.ok(
      golden[name].filter((bits) => bits !== null).length > 2000,
    );
  });
}
