import { DeviceLostError, disposeOwn, encodeAdapter, OutOfMemoryError } from "federa";
import type { CallContext, Handlers } from "../common/remote.ts";
import type { AloneCalls, Run, Settings, StepScore, TrainingEvent } from "./alone_calls.ts";
import { prepareSets } from "./data.ts";
import { fineTune } from "./fine_tune.ts";
import { forecast } from "./forecast.ts";
import { methodOf, startFrom } from "./method.ts";
import { sharedHandlers } from "./shared_handlers.ts";
import type { Workbench } from "./workbench.ts";

/** Answers the page that trains alone. */
export function aloneHandlers(bench: Workbench): Handlers<AloneCalls> {
  return {
    ...sharedHandlers(bench),
    forecast: (settings) => bench.recover(async () => await forecast(await bench.prepare(), settings)),
    train: (settings, context) => train(bench, settings, context),
  };
}

async function train(
  bench: Workbench,
  settings: Settings,
  { signal, report }: CallContext<TrainingEvent>,
): Promise<Run> {
  const started = performance.now();
  const progress: { step: number; steps: number; score: StepScore | undefined } = {
    step: 0,
    steps: 0,
    score: undefined,
  };
  let snapshot: { readonly adapter: Uint8Array<ArrayBuffer>; readonly step: number } | undefined;
  let problem: string | undefined;
  let isFinished = false;
  const { data } = bench;
  try {
    report({ type: "phase", phase: "preparing" });
    const { pretrained, tokenizer } = await bench.prepare();
    bench.forget();
    const sets = prepareSets(data!, tokenizer, settings);
    signal.throwIfAborted();
    report({ type: "phase", phase: "starting" });
    const { model, trained } = await startFrom(methodOf(settings), pretrained, settings.seed);
    try {
      isFinished = await fineTune(model, {
        ...settings,
        ...sets,
        trained,
        signal,
        report(event) {
          if (event.type === "progress") Object.assign(progress, { step: event.step, steps: event.steps });
          if (event.type === "score") progress.score = event;
          report(event);
        },
        onModel: async (current, step) => {
          snapshot = { adapter: await encodeAdapter(current, { pretrained }), step };
        },
      });
    } finally {
      disposeOwn(model, pretrained);
    }
  } catch (error) {
    const isOfDevice = error instanceof DeviceLostError || error instanceof OutOfMemoryError;
    const settled = bench.settle(error);
    if (snapshot === undefined || snapshot.step === 0 || !isOfDevice) throw settled;
    problem =
      `${settled.message}. What was trained up to step ${snapshot.step} is kept, and can be used on a new device`;
  }
  const { adapter, step } = snapshot!;
  return {
    id: bench.keep({ data: data!, adapter, maxLength: settings.maxLength }),
    settings,
    ended: problem !== undefined ? "lost" : isFinished ? "finished" : "cancelled",
    ...(problem !== undefined && { problem }),
    step,
    steps: Math.max(progress.steps, step),
    seconds: (performance.now() - started) / 1000,
    score: progress.score,
  };
}
