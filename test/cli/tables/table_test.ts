import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable } from "../../../src/cli/tables/table.ts";

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

const wide = [
  { name: "encoder.layer.11.attention.output.dense.weight", text: "one two three four five six", x: "1" },
  { name: "short", text: "seven", x: "2" },
];

test("formatTable() keeps to 80 columns: text wraps, long names stand above their line", () => {
  const columns = [
    { title: "name", cell: ({ name }: typeof wide[number]) => name },
    { title: "text", cell: ({ text }: typeof wide[number]) => text, wrap: true },
    { title: "x", cell: ({ x }: typeof wide[number]) => x, align: "right" as const },
  ];
  assert.equal(
    formatTable(wide, columns, { width: 32 }),
    [
      "name     text                  x",
      "-------  --------------------  -",
      "encoder.layer.11.attention.outp…",
      "         one two three four    1",
      "         five six",
      "short    seven                 2",
    ].join("\n"),
  );
  const lines = formatTable(wide, columns).split("\n");
  assert.ok(lines.every((line) => [...line].length <= 80), lines.join("\n"));
});

test("formatTable() puts a note in place of a row's cells", () => {
  const table = formatTable(wide, [
    { title: "name", cell: ({ x }) => x },
    { title: "text", cell: ({ text }) => text },
  ], { width: 30, note: ({ x }) => x === "1" ? "failed: it was too long for the line" : undefined });
  assert.equal(
    table,
    ["name  text", "----  -----", "1     failed: it was too long…", "2     seven"].join("\n"),
  );
});
