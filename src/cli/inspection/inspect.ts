import { readdir, stat } from "node:fs/promises";
import { formatShape, type Gpu } from "../../engine/mod.ts";
import {
  type Inspection,
  inspectTensors,
  type InspectTensorsOptions,
  matchesPattern,
  type Spectrum,
} from "../../federa/mod.ts";
import { SafetensorsFile } from "../../models/mod.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import { listWithin } from "../../experiment/text/list_within.ts";
import { printable } from "../../data/text/printable.ts";
import { cut } from "../../experiment/text/cut.ts";
import { barPlot, sparkline } from "./bar_plot.ts";
import { type Column, formatTable } from "../tables/table.ts";

/** Options of {@linkcode inspectFile}. */
export interface InspectFileOptions extends InspectTensorsOptions {
  /**
   * Name pattern of the matrices and products whose singular values are drawn large; see {@linkcode matchesPattern}. By default
   * the one of the largest norm is, of the products where there are any.
   */
  readonly plot?: string | undefined;
}

/** A line of the table: a tensor, or a product of two. */
interface Row {
  readonly name: string;
  /** What its plot is called. */
  readonly title: string;
  readonly what: string;
  readonly shape: readonly number[];
  readonly norm: number;
  readonly spectrum: Spectrum | undefined;
  readonly note: string;
}

/**
 * Refuses a path that isn't a file, before the device is opened.
 *
 * @throws {ConfigError} naming the files that are meant perhaps, of a folder.
 */
export async function checkInspected(path: string): Promise<void> {
  const refuse = (reason: string, cause?: unknown) =>
    new ConfigError(`Cannot inspect ${path}: ${reason}`, { cause });
  let names: string[];
  try {
    if (!(await stat(path)).isDirectory()) return;
    names = (await readdir(path)).filter((name) => name.endsWith(".safetensors"));
  } catch (cause) {
    throw refuse(describeCause(cause), cause);
  }
  throw refuse(
    names.length === 0
      ? "it is a folder without safetensors files"
      : listWithin(names.toSorted(), { before: "it is a folder; give one of its files, ", width: 400 }),
  );
}

/**
 * Describes a safetensors file for people: tensors, shapes, norms, and singular values.
 *
 * @throws {CorruptFileError} when the file is broken.
 * @throws {RangeError} when the pattern matches nothing that has singular values.
 */
export async function inspectFile(
  gpu: Gpu,
  path: string,
  options: InspectFileOptions = {},
): Promise<string> {
  const file = await SafetensorsFile.open(path);
  try {
    const found = await inspectTensors(gpu, file, options);
    return [describeFile(path, file, found), ...formatInspection(found, options)].join("\n\n");
  } finally {
    await file.close();
  }
}

function describeFile(path: string, { metadata }: SafetensorsFile, { tensors }: Inspection): string {
  const count = tensors.reduce((sum, { shape }) => sum + shape.reduce((size, side) => size * side, 1), 0);
  const notes = Object.entries(metadata);
  const described = notes.slice(0, 8).map(([key, value]) => `${shorten(key, 40)} = ${shorten(value, 40)}`);
  if (notes.length > 8) described.push(`${notes.length - 8} more`);
  return `${printable(path)}: ${tensors.length} tensors, ${count.toLocaleString("en")} numbers` +
    (notes.length > 0 ? `\nnotes: ${described.join(", ")}` : "");
}

/** The tables of tensors and of products, then the plots. */
/** What V stands for in the table of products. */
const dora = "V: of the direction W + s·B·A, whose rows DoRA then gives their lengths m";

function formatInspection({ tensors, products }: Inspection, { plot }: InspectFileOptions): string[] {
  const rows: Row[] = tensors.map(({ dtype, nonFinite, withoutSpectrum, ...each }) => ({
    ...each,
    title: each.name,
    what: dtype,
    note: nonFinite > 0 ? `${nonFinite} NaN or infinite` : withoutSpectrum ?? "",
  }));
  const changes: Row[] = products.map(({ formula, ...each }) => ({
    ...each,
    title: `${formula} of ${each.name}`,
    what: formula,
    note: "",
  }));
  const plots = choose(plot, changes, rows).map(({ title, spectrum }) => {
    const part = spectrum!.complete ? "" : `, the leading ${spectrum!.values.length}`;
    return `singular values of ${shorten(title, 60)}${part}\n${barPlot(spectrum!.values)}`;
  });
  return [
    formatTable(rows, columns("tensor", "dtype")),
    ...changes.length > 0 ? [formatTable(changes, columns("low-rank change", "product"))] : [],
    ...products.some(({ formula }) => formula.startsWith("V")) ? [dora] : [],
    ...plots,
  ];
}

function choose(plot: string | undefined, changes: readonly Row[], tensors: readonly Row[]): Row[] {
  const all = [...changes, ...tensors].filter(({ spectrum }) => spectrum !== undefined);
  if (plot === undefined) {
    const candidates = changes.length > 0 ? changes : all;
    const largest = candidates.reduce<Row | undefined>(
      (best, row) => best === undefined || row.norm > best.norm ? row : best,
      undefined,
    );
    return largest ? [largest] : [];
  }
  const chosen = all.filter(({ name }) => matchesPattern(name, plot));
  if (chosen.length === 0) {
    const names = all.map(({ name }) => name).join(", ") || "none";
    throw new RangeError(
      `Cannot plot "${plot}": it matches nothing that has singular values; there are ${names}`,
    );
  }
  return chosen;
}

function columns(title: string, kind: string): Column<Row>[] {
  const largest = ({ spectrum }: Row) => spectrum?.values[0];
  return [
    { title, cell: ({ name }) => name },
    { title: kind, cell: ({ what }) => what },
    { title: "shape", cell: ({ shape }) => formatShape(shape) },
    { title: "norm", cell: ({ norm }) => norm.toPrecision(4), align: "right" },
    { title: "σ₁", cell: (row) => largest(row)?.toPrecision(4) ?? "", align: "right" },
    {
      title: "(norm/σ₁)²",
      cell: (row) => largest(row) ? ((row.norm / largest(row)!) ** 2).toFixed(1) : "",
      align: "right",
    },
    {
      title: "singular values",
      cell: ({ spectrum, note }) => spectrum ? sparkline(spectrum.values) : note,
    },
  ];
}

/** Text of a file for a line: on one line, and cut short. */
function shorten(text: string, length: number): string {
  return cut(printable(text), length);
}
