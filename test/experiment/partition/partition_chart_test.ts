import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "htmlparser2";
import {
  partitionChart,
  type PartitionChartOptions,
} from "../../../src/experiment/partition/partition_chart.ts";
import { summarizePartition } from "../../../src/experiment/partition/summarize_partition.ts";

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
}

/** Reads a drawing, whose elements must be closed in order. */
function read(svg: string): Element[] {
  const elements: Element[] = [];
  const open: Element[] = [];
  const parser = new Parser({
    onopentag(name, attributes) {
      const element = { name, attributes, text: "" };
      elements.push(element);
      open.push(element);
    },
    ontext(text) {
      const top = open.at(-1);
      if (top) top.text += text;
    },
    onclosetag(name, implied) {
      assert.equal(open.pop()?.name, name);
      assert.ok(!implied || /^(rect|line|circle)$/.test(name), name);
    },
  }, { xmlMode: true, decodeEntities: true });
  parser.end(svg);
  assert.equal(open.length, 0);
  return elements;
}

function draw(
  counts: readonly (readonly number[])[],
  classes: readonly string[],
  options: Partial<PartitionChartOptions> = {},
) {
  const examples = counts.flatMap((row) =>
    row.flatMap((count, c) => Array.from({ length: count }, () => ({ text: "", label: classes[c]! })))
  );
  let next = 0;
  const clients = counts.map((row) => Array.from({ length: row.reduce((a, b) => a + b) }, () => next++));
  const summary = summarizePartition(examples, { clients, leftOut: [] }, {
    kind: "sequence-classification",
    labels: classes,
  });
  const svg = partitionChart(summary, { title: "a title", ...options });
  const elements = read(svg);
  const texts = elements.filter(({ name }) => name === "text").map(({ text }) => text);
  return { svg, elements, texts };
}

/** Bars have no white background nor the size of a legend's square. */
const bars = (elements: readonly Element[]) =>
  elements.filter(({ name, attributes: { fill, height } }) =>
    name === "rect" && fill !== "#ffffff" && height !== "11"
  );

test("partitionChart() draws a bar for each client whose parts are its classes", () => {
  const { elements, texts } = draw([[2, 2, 0], [0, 1, 0], [0, 0, 4]], ["a", "b", "c"]);
  const parts = bars(elements).map(({ attributes }) => attributes);
  // The highest bar has four examples on 320 pixels.
  assert.deepEqual(parts.map(({ height }) => Number(height)), [160, 160, 80, 320]);
  assert.deepEqual(parts.map(({ y }) => Number(y)), [160, 0, 240, 0]);
  assert.equal(new Set(parts.map(({ fill }) => fill)).size, 3);
  for (const text of ["a title", "a", "b", "c", "client", "examples", "0", "1", "2"]) {
    assert.ok(texts.includes(text), text);
  }
  assert.ok(texts.includes("3 clients hold 9 examples: 1 to 4 each, median 4"));
});

test("partitionChart() draws dots whose areas are counts", () => {
  const { elements } = draw([[100, 25], [0, 4]], ["a", "b"], { kind: "bubbles" });
  const dots = elements.filter(({ name }) => name === "circle").map(({ attributes }) =>
    Number(attributes["r"])
  );
  assert.equal(dots.length, 3);
  assert.ok(Math.abs(dots[1]! - dots[0]! / 2) < 0.01);
  assert.ok(Math.abs(dots[2]! - dots[0]! / 5) < 0.01);
});

test("partitionChart() takes dots for many classes, and bars for few or none", () => {
  const many = Array.from({ length: 10 }, (_, c) => `class ${c}`);
  const circles = (elements: readonly Element[]) => elements.filter(({ name }) => name === "circle").length;
  assert.equal(circles(draw([many.map(() => 1)], many).elements), 10);
  assert.equal(circles(draw([many.slice(1).map(() => 1)], many.slice(1)).elements), 0);
  const summary = summarizePartition([{ text: "", value: 1 }], { clients: [[0]], leftOut: [] }, {
    kind: "regression",
    labels: ["value"],
  });
  assert.equal(bars(read(partitionChart(summary, { title: "one" }))).length, 1);
  assert.throws(() => partitionChart(summary, { title: "one", kind: "bubbles" }), {
    name: "RangeError",
    message: "Cannot draw bubbles: expected a task with classes, got none; draw bars",
  });
});

test("partitionChart() stays within bounds for very many clients and classes, and says what isn't drawn", () => {
  const classes = Array.from({ length: 200 }, (_, c) => `class ${c}`);
  const counts = Array.from(
    { length: 3000 },
    (_, k) => classes.map((_, c) => (k * 7 + c * 13) % 50 === 0 ? 2 : 0),
  );
  for (const kind of ["bars", "bubbles"] as const) {
    const { svg, elements, texts } = draw(counts, classes, { kind });
    assert.ok(svg.length < 1_500_000, `${kind}: ${svg.length}`);
    const { width, height } = elements[0]!.attributes;
    assert.ok(Number(width) < 1200 && Number(height) < 1600, `${width} × ${height}`);
    assert.ok(
      texts.some((text) => text.includes("of 3,000 clients are drawn")),
      texts.slice(0, 8).join("\n"),
    );
    if (kind === "bubbles") assert.ok(texts.includes("The 60 most frequent of 200 classes are drawn"));
    else assert.ok(texts.includes("183 other classes"));
    for (const { name, attributes } of elements) {
      if (name !== "rect" && name !== "circle") continue;
      const values = Object.entries(attributes).filter(([key]) => key !== "fill").map(([, value]) =>
        Number(value)
      );
      assert.ok(values.every((value) => Number.isFinite(value) && value >= 0), JSON.stringify(attributes));
    }
  }
});

test("partitionChart() escapes what names hold", () => {
  const { svg, texts } = draw([[1, 1]], ['<a href="x">&\u0000', "b".repeat(100)], { title: "]]>&<script>" });
  assert.ok(texts.includes('<a href="x">&\ufffd'));
  assert.ok(texts.includes(`${"b".repeat(27)}…`));
  assert.ok(texts.includes("]]>&<script>"));
  assert.ok(!svg.includes("<script>") && !svg.includes("\u0000"));
});
