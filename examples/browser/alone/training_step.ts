import { byId } from "../common/element.ts";
import { showProblem } from "../common/problem.ts";
import type { Remote } from "../common/remote.ts";
import { bytes, count, countOf, duration, percent } from "../common/words.ts";
import type { AloneCalls, Run, Settings, TrainingEvent } from "../trainer/alone_calls.ts";
import type { DataInfo, ModelInfo } from "../trainer/calls.ts";
import { RunBook } from "./run_book.ts";

/** Who is told of a run that has ended. */
export interface TrainingStepOptions {
  onRun(run: Run): void;
}

/** The part of the page in which a model is trained. */
export interface TrainingStep {
  setModel(model: ModelInfo | undefined): void;
  setData(data: DataInfo | undefined): void;
}

const PHASES = {
  preparing: "Cutting texts into tokens",
  starting: "Making the adapter's start",
  training: "Training",
  scoring: "Scoring the texts held out",
} as const;
const SEED = 1;

/** Sets up the settings, the forecast, the progress and the plots. */
export function trainingStep(trainer: Remote<AloneCalls>, { onRun }: TrainingStepOptions): TrainingStep {
  const form = byId<HTMLFormElement>("settings");
  const [train, cancel] = [byId<HTMLButtonElement>("train"), byId<HTMLButtonElement>("cancel")];
  const book = new RunBook({ onChoose: onRun });
  let [model, data]: [ModelInfo | undefined, DataInfo | undefined] = [undefined, undefined];
  let controller: AbortController | undefined;
  let forecasts = 0;

  const ready = () => {
    byId("training").hidden = model === undefined || data === undefined;
    if (model !== undefined && data !== undefined) void forecast();
  };
  const forecast = async () => {
    const [place, own] = [byId("forecast"), ++forecasts];
    if (controller !== undefined) return;
    place.textContent = "Working out what it will take";
    // Whoever types a number isn't asked about each digit.
    await new Promise((resolve) => setTimeout(resolve, 150));
    if (own !== forecasts) return;
    if (!form.checkValidity()) {
      place.textContent = "A setting is out of its range: the field is marked";
      return;
    }
    try {
      const found = await trainer.call("forecast", settingsOf(form));
      if (own !== forecasts) return;
      const cut = found.numFull === 0
        ? ""
        : ` ${countOf(found.numFull, "text fills", "texts fill")} the longest length and may be cut.`;
      place.textContent = `${countOf(found.steps, "step")} will train ${
        count(found.numTrained)
      } values, and take at most ${bytes(found.peakBytes)} of the graphics processor's memory, ${
        bytes(found.modelBytes)
      } of it for the model.${cut}`;
    } catch (error) {
      if (own !== forecasts) return;
      place.textContent = `This can't be trained: ${error instanceof Error ? error.message : error}`;
    }
  };
  const start = async () => {
    const settings = settingsOf(form);
    // A forecast that is under way would come after the training.
    forecasts++;
    controller = new AbortController();
    for (const id of ["model", "data"]) byId(id).inert = true;
    showProblem(byId("training-problem"), undefined);
    [cancel.hidden, train.disabled, byId("progress").hidden] = [false, true, false];
    const progress = book.begin(settings, data!);
    try {
      const run = await trainer.call("train", settings, {
        signal: controller.signal,
        onEvent: (event) => {
          progress(event);
          showEvent(event, settings);
        },
      });
      book.end(run);
      onRun(run);
      announce(ending(run));
      showProblem(byId("training-problem"), run.problem);
    } catch (error) {
      book.drop();
      const isCancelled = controller.signal.aborted && error instanceof Error && error.name === "AbortError";
      if (isCancelled) announce("Stopped before the first step");
      else showProblem(byId("training-problem"), error);
    } finally {
      controller = undefined;
      for (const id of ["model", "data"]) byId(id).inert = false;
      [cancel.hidden, train.disabled, byId("progress").hidden] = [true, false, true];
      train.focus();
      void forecast();
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void start();
  });
  form.addEventListener("input", () => void forecast());
  // What was trained is gone with the page.
  globalThis.addEventListener("beforeunload", (event) => {
    if (controller !== undefined) event.preventDefault();
  });
  cancel.addEventListener("click", () => {
    controller?.abort(new DOMException("Cancelled", "AbortError"));
    byId("steps-label").textContent = "Stopping after this step";
  });
  return {
    setModel(next) {
      model = next;
      // What was trained belongs to the model before.
      if (model === undefined) book.reset();
      else {
        const longest = byId<HTMLInputElement>("maxLength");
        longest.max = String(model.maxLength);
        longest.value = String(Math.min(128, model.maxLength));
      }
      ready();
    },
    setData(next) {
      data = next;
      ready();
    },
  };
}

function settingsOf(form: HTMLFormElement): Settings {
  const values = new FormData(form);
  const number = (name: string) => Number(values.get(name));
  return {
    method: values.get("method") as Settings["method"],
    rank: number("rank"),
    alpha: number("alpha"),
    learningRate: number("learningRate"),
    epochs: number("epochs"),
    batchSize: number("batchSize"),
    maxLength: number("maxLength"),
    seed: SEED,
  };
}

function showEvent(event: TrainingEvent, { epochs }: Settings): void {
  const [label, bar] = [byId("steps-label"), byId<HTMLProgressElement>("steps")];
  if (event.type === "phase") {
    if (event.phase === "training") return;
    label.textContent = PHASES[event.phase];
    if (event.phase !== "scoring") bar.removeAttribute("value");
  }
  if (event.type === "progress") {
    const { step, steps, secondsLeft } = event;
    Object.assign(bar, { max: steps, value: step });
    label.textContent = `Step ${count(step)} of ${count(steps)}, ${duration(secondsLeft)} left`;
  }
  if (event.type === "score") {
    const bar = byId<HTMLProgressElement>("steps");
    const pass = bar.max > 1 ? Math.round(event.step * epochs / bar.max) : 0;
    announce(
      event.step === 0
        ? `Before training, ${percent(event.accuracy)} of the texts held out are right`
        : `Pass ${pass} of ${epochs}: ${percent(event.accuracy)} of the texts held out are right, loss ${
          event.loss.toFixed(3)
        }`,
    );
  }
}

function ending({ ended, step, steps, seconds, score }: Run): string {
  const right = score === undefined
    ? ""
    : `; ${percent(score.accuracy)} of the texts held out were right at step ${score.step}`;
  const how = { finished: "Finished", cancelled: "Stopped", lost: "Ended early" }[ended];
  return `${how} after ${step} of ${steps} steps in ${duration(seconds)}${right}`;
}

/** Has a screen reader say something when it is free. */
function announce(message: string): void {
  byId("announcements").textContent = message;
}
