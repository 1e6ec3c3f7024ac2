import { byId, element, fillTable } from "../common/element.ts";
import { type Line, Plot, type Point } from "../common/plot.ts";
import { count, loss, percent, seconds } from "../common/words.ts";
import type { Run, Settings, TrainingEvent } from "../trainer/alone_calls.ts";
import type { DataInfo } from "../trainer/calls.ts";

/** What is drawn of a run. */
interface Curves {
  readonly name: string;
  readonly losses: Point[];
  readonly scores: Point[];
  steps: number;
  run?: Run;
}

/** What is shown of the runs' curves. */
interface Plots {
  readonly loss: Plot;
  readonly score: Plot;
  readonly legend: HTMLElement;
  readonly table: HTMLTableElement;
}

/** Options of {@linkcode RunBook}. */
export interface RunBookOptions {
  /** Called when a person chooses a run to use. */
  onChoose(run: Run): void;
}

/** Keeps what is known of each run, draws it, and lists the runs with what they came to. */
export class RunBook {
  readonly #options: RunBookOptions;
  #curves: Curves[] = [];
  #plots: Plots | undefined;
  #data: DataInfo | undefined;
  #chosen = 0;
  #frame = 0;

  constructor(options: RunBookOptions) {
    this.#options = options;
  }

  /** Begins a run, and returns what takes its events. Runs on other data are no longer drawn. */
  begin(settings: Settings, data: DataInfo): (event: TrainingEvent) => void {
    if (data !== this.#data) this.reset();
    this.#data = data;
    const curves: Curves = { name: nameOf(settings), losses: [], scores: [], steps: 1 };
    this.#curves.push(curves);
    this.#plots ??= this.#makePlots(data);
    byId("plots").hidden = false;
    this.#schedule();
    return (event) => {
      if (event.type === "loss") curves.losses.push({ step: event.step, value: event.loss });
      if (event.type === "score") curves.scores.push({ step: event.step, value: event.accuracy });
      if (event.type === "progress") curves.steps = event.steps;
      this.#schedule();
    };
  }

  /** Ends the run that was begun last. */
  end(run: Run): void {
    this.#curves.at(-1)!.run = run;
    this.#chosen = run.id;
    this.#draw();
    this.#list();
  }

  /** Forgets the run that was begun last, which came to nothing. */
  drop(): void {
    this.#curves.pop();
    byId("plots").hidden = this.#curves.length === 0;
    this.#draw();
  }

  /** Forgets all runs. */
  reset(): void {
    this.#curves = [];
    this.#plots = undefined;
    this.#data = undefined;
    byId("plots").hidden = byId("runs").hidden = true;
  }

  #makePlots(data: DataInfo): Plots {
    const plots = {
      loss: new Plot({
        title: "Training loss, in nats",
        write: (value) => String(Number(value.toPrecision(3))),
      }),
      score: new Plot({
        title: "Right among the texts held out",
        write: (value) => `${Number((100 * value).toPrecision(3))} %`,
        most: 1,
        reference: { value: data.majority, name: "always the commonest class:" },
      }),
      legend: element("p", { class: "legend" }),
      table: element("table"),
    };
    const table = element("div", {
      class: "scroll",
      tabindex: 0,
      role: "region",
      "aria-label": "Figures of the plots",
    }, plots.table);
    byId("plots").replaceChildren(
      plots.loss.figure,
      plots.score.figure,
      plots.legend,
      element("details", {}, element("summary", {}, "The same as a table"), table),
    );
    return plots;
  }

  #schedule(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw(): void {
    const current = this.#curves.at(-1);
    if (this.#plots === undefined || current === undefined) return;
    const steps = Math.max(...this.#curves.map((each) => each.steps));
    const lines = (of: "losses" | "scores"): Line[] =>
      this.#curves.map((each) => ({ name: each.name, points: each[of], isEarlier: each !== current }));
    this.#plots.loss.show(lines("losses"), steps);
    this.#plots.score.show(lines("scores"), steps);
    this.#plots.legend.replaceChildren(
      element("span", {}, current.name),
      ...this.#curves.length > 1 ? [element("span", { class: "earlier" }, "earlier runs")] : [],
      element("span", { class: "reference" }, "always the commonest class"),
    );
    const scores = new Map(current.scores.map(({ step, value }) => [step, value]));
    const losses = new Map(current.losses.map(({ step, value }) => [step, value]));
    fillTable(this.#plots.table, {
      caption: `Loss and score of ${current.name}`,
      columns: ["Step", "Loss", "Right"],
      rows: [...new Set([...scores.keys(), ...losses.keys()])].sort((a, b) => a - b).map((step) => [
        count(step),
        losses.has(step) ? loss(losses.get(step)!) : "",
        scores.has(step) ? percent(scores.get(step)!) : "",
      ]),
      figures: [0, 1, 2],
    });
  }

  #list(): void {
    const ended = this.#curves.flatMap(({ name, run }) => run === undefined ? [] : [{ name, run }]);
    fillTable(byId<HTMLTableElement>("run-table"), {
      caption: "Runs that have ended",
      columns: ["Use", "Method", "Steps", "Time", "Right", "Macro-F1"],
      rows: ended.map(({ name, run }) => [
        this.#radio(name, run),
        name,
        run.step === run.steps ? count(run.steps) : `${count(run.step)} of ${count(run.steps)}`,
        seconds(run.seconds),
        run.score === undefined
          ? ""
          : `${percent(run.score.accuracy)}${run.score.step === run.step ? "" : ` (step ${run.score.step})`}`,
        run.score === undefined ? "" : percent(run.score.macroF1),
      ]),
      figures: [2, 3, 4, 5],
    });
    byId("majority").textContent = `Always saying the commonest class would be right for ${
      percent(this.#data!.majority)
    }.`;
    byId("runs").hidden = false;
  }

  #radio(name: string, run: Run): HTMLElement {
    const radio = element("input", {
      type: "radio",
      name: "run",
      value: run.id,
      checked: run.id === this.#chosen,
      "aria-label": `Use run ${run.id}, ${name}`,
    });
    radio.addEventListener("change", () => {
      this.#chosen = run.id;
      this.#options.onChoose(run);
    });
    return radio;
  }
}

/** What a run is called: its method, rank and rate. */
export function nameOf({ method, rank, learningRate }: Settings): string {
  return `${method === "federa" ? "FeDeRA" : "LoRA"}, rank ${rank}, rate ${learningRate}`;
}
