import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable } from "../../src/cli/table.ts";

test("formatTable() aligns columns to their longest cell", () => {
  const rows = [{ name: "federa", score: "0.9" }, { name: "ü", score: "12.25" }];
  const table = formatTable(rows, [
    { title: "method", cell: ({ name }) => name },
    { title: "x", cell: ({ score }) => score, align: "right" },
  ]);
  assert.equal(table, ["method      x", "------  -----", "federa    0.9", "ü       12.25"].join("\n"));
});

test("formatTable() of no rows is head and rule", () => {
  assert.equal(
    formatTable([], [{ title: "a", cell: () => "" }, { title: "bc", cell: () => "" }]),
    "a  bc\n-  --",
  );
});
