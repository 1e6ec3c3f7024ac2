import assert from "node:assert/strict";
import { test } from "node:test";
import { barPlot, sparkline } from "../../../src/cli/inspection/bar_plot.ts";

test("sparkline() draws shares of the largest in eighths, and shows what isn't 0", () => {
  assert.equal(sparkline([8, 7, 4, 1, 0.01, 0]), "█▇▄▁▁ ");
  assert.equal(sparkline([0, 0]), "  ");
  assert.equal(sparkline([]), "");
});

test("sparkline() keeps first and last of many values", () => {
  const values = Array.from({ length: 101 }, (_, i) => 100 - i);
  assert.equal(sparkline(values, 5), "█▆▄▂ ");
  assert.equal(sparkline(values, 1), "█");
});

test("barPlot() draws bars on a scale over numbered values", () => {
  assert.equal(
    barPlot([2, 1, 0.25, 0.125], { height: 2 }),
    [
      "2.00 │█",
      "   0 │██▂▁",
      "     └────",
      "      1  4",
    ].join("\n"),
  );
});

test("barPlot() fits many values into its width, and takes one or none", () => {
  const lines = barPlot(Float32Array.from({ length: 768 }, () => 1), { height: 1, width: 10 }).split("\n");
  assert.deepEqual(lines, ["1.00 │██████████", "     └──────────", "      1      768"]);
  assert.equal(barPlot([5], { height: 1 }), "5.00 │█\n     └─\n      1");
  assert.equal(barPlot([]), "");
});
