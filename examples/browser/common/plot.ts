import { element } from "./element.ts";

/** A point of a line: what was found after so many steps. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

/** A line of a plot. */
export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  /** Whether it is of an earlier run, to compare with. */
  readonly isEarlier?: boolean;
}

/** What a plot shows. */
export interface PlotOptions {
  readonly title: string;
  /** What the points are after; steps by default. */
  readonly unit?: string | undefined;
  /** Writes a value. */
  readonly write: (value: number) => string;
  /** The largest value of the axis; as the points have it by default. */
  readonly most?: number;
  /** A level to compare with. */
  readonly reference?: { readonly value: number; readonly name: string } | undefined;
}

const HEIGHT = 170;
const EDGE = { left: 46, right: 12, top: 12, bottom: 24 };

/** A plot of lines over steps, with what they end at in words beside its title. */
export class Plot {
  readonly figure = element("figure");
  readonly #options: PlotOptions;
  readonly #value = element("span", { class: "value" });
  readonly #svg = svg("svg", { class: "plot", role: "img" });
  #lines: readonly Line[] = [];
  #steps = 1;

  constructor(options: PlotOptions) {
    this.#options = options;
    this.figure.append(element("figcaption", {}, options.title, this.#value), this.#svg);
    new ResizeObserver(() => this.#draw()).observe(this.figure);
  }

  /** Shows lines over an axis of so many steps. */
  show(lines: readonly Line[], steps: number): void {
    [this.#lines, this.#steps] = [lines, Math.max(1, steps)];
    this.#draw();
  }

  #draw(): void {
    const width = this.figure.clientWidth;
    if (width === 0) return;
    const { title, unit = "step", write, most, reference } = this.#options;
    const values = this.#lines.flatMap(({ points }) => points.map(({ value }) => value));
    const ticks = ticksTo(most ?? Math.max(1e-3, ...values));
    const top = ticks.at(-1)!;
    const x = (step: number) => EDGE.left + (step / this.#steps) * (width - EDGE.left - EDGE.right);
    const y = (value: number) =>
      EDGE.top + (1 - Math.min(1, value / top)) * (HEIGHT - EDGE.top - EDGE.bottom);
    const right = width - EDGE.right;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("height", String(HEIGHT));
    this.#svg.replaceChildren(
      ...ticks.flatMap((tick) => [
        svg("line", { class: "grid", x1: EDGE.left, x2: right, y1: y(tick), y2: y(tick) }),
        text(write(tick), { x: EDGE.left - 8, y: y(tick) + 4, "text-anchor": "end" }),
      ]),
      text("0", { x: EDGE.left, y: HEIGHT - 6, "text-anchor": "middle" }),
      text(`${unit} ${this.#steps}`, { x: right, y: HEIGHT - 6, "text-anchor": "end" }),
      ...reference === undefined ? [] : [
        svg("line", {
          class: "reference",
          x1: EDGE.left,
          x2: right,
          y1: y(reference.value),
          y2: y(reference.value),
        }),
      ],
      ...this.#lines.toSorted((a, b) => Number(b.isEarlier ?? false) - Number(a.isEarlier ?? false)).flatMap(
        (line) => {
          const places = line.points.map(({ step, value }) => [x(step), y(value)] as const);
          const path = svg("polyline", {
            class: line.isEarlier ? "line earlier" : "line",
            points: places.map((place) => place.map((each) => each.toFixed(1)).join(",")).join(" "),
          });
          // A line of one point can't be seen.
          const dots = line.isEarlier || places.length > 12
            ? []
            : places.map(([cx, cy]) => svg("circle", { class: "dot", cx, cy, r: 3 }));
          return [path, ...dots];
        },
      ),
    );
    const current = this.#lines.find(({ isEarlier }) => !isEarlier)?.points ?? [];
    const [first, last] = [current[0], current.at(-1)];
    const end = last && `${write(last.value)} at ${unit} ${last.step}`;
    this.#value.textContent = end ?? "";
    this.#svg.setAttribute(
      "aria-label",
      first === undefined || last === undefined
        ? `${title}: nothing yet`
        : `${title}: ${write(first.value)} at ${unit} ${first.step}, ${end}${
          reference ? `; ${reference.name} ${write(reference.value)}` : ""
        }`,
    );
  }
}

/** Round numbers from 0 to at least a value, three to six of them. */
export function ticksTo(most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => most / each <= 4)!;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => i * step);
}

function svg(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function text(content: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = svg("text", attributes);
  made.textContent = content;
  return made;
}
