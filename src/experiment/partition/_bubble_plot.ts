import { svgElement } from "../report/svg/element.ts";
import { palette } from "../report/svg/palette.ts";
import { chooseClients, clientAxis, label, layout, type Plot, rule } from "./_plot.ts";
import type { PartitionSummary } from "./summarize_partition.ts";

const ROW = 20;
const LEFT = 220;
/** The most clients and classes that dots are drawn for. */
const MOST = { clients: 100, classes: 60 } as const;

/** A dot for each client and class, whose area is how often the client has it. */
export function bubblePlot({ clients, classes, noun }: PartitionSummary): Plot {
  const { shown, notes } = chooseClients(clients, MOST.clients);
  const totals = classes.map((_, c) => clients.reduce((sum, { counts }) => sum + counts[c]!, 0));
  const byTotal = [...classes.keys()].sort((a, b) => totals[b]! - totals[a]! || a - b);
  const rows = byTotal.slice(0, MOST.classes).sort((a, b) => a - b);
  const step = Math.min(40, layout.plotWidth / shown.length);
  const largest = shown.reduce((most, { counts }) => rows.reduce((m, c) => Math.max(m, counts[c]!), most), 1);
  const widest = Math.min(ROW, Math.max(8, step)) / 2 - 0.5;
  const right = LEFT + shown.length * step;
  const height = rows.length * ROW;
  const elements = [
    ...rows.flatMap((c, row) => [
      rule(LEFT, (row + 0.5) * ROW, right, (row + 0.5) * ROW),
      label(classes[c]!, LEFT - 8, (row + 0.5) * ROW + 4, "end"),
    ]),
    ...shown.flatMap(({ counts }, i) =>
      rows.flatMap((c, row) =>
        counts[c] === 0 ? [] : [
          svgElement("circle", {
            cx: LEFT + (i + 0.5) * step,
            cy: (row + 0.5) * ROW,
            // One of many still shows.
            r: Math.max(1.2, widest * Math.sqrt(counts[c]! / largest)),
            fill: palette[0],
          }),
        ]
      )
    ),
    ...clientAxis(shown, { left: LEFT, step, y: height }),
  ];
  const rest = classes.length - rows.length;
  return {
    width: right + layout.margin,
    height: height + 40 + layout.margin,
    elements,
    notes: [
      `Areas of dots are counts; the largest is ${largest.toLocaleString("en")}`,
      ...notes,
      ...rest > 0 ? [`The ${rows.length} most frequent of ${classes.length} ${noun?.many} are drawn`] : [],
    ],
  };
}
