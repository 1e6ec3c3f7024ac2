import { acceptDrops, type ChosenFile, filesOfInput, modelFilesOf } from "../common/chosen_files.ts";
import { byId, fillFacts, fillList } from "../common/element.ts";
import { isCancelled, showProblem } from "../common/problem.ts";
import type { Remote } from "../common/remote.ts";
import { bytes, count, countOf } from "../common/words.ts";
import type { ModelChoice, ModelInfo, ModelLikeness, SharedCalls } from "../trainer/calls.ts";

/** Who is told of the model. */
export interface ModelStepOptions {
  /** What the model must be, where a federation prescribes it. */
  like?(): ModelLikeness | undefined;
  /** Called with an open model, and with undefined when another is about to take its place. */
  onModel(model: ModelInfo | undefined): void;
}

/** The part of the page in which a model is opened: from a folder, from files, or from an address. */
export function modelStep(
  trainer: Remote<SharedCalls>,
  { onModel, like }: ModelStepOptions,
): { close(): void } {
  const [problem, progress] = [byId("model-problem"), byId<HTMLProgressElement>("model-progress")];
  const busy = byId("model-busy");
  let controller: AbortController | undefined;

  const open = async (choose: () => ModelChoice | Promise<ModelChoice>) => {
    controller?.abort();
    const { signal } = controller = new AbortController();
    showProblem(problem, undefined);
    byId("model-facts").hidden = true;
    fillList(byId("model-notices"), []);
    onModel(undefined);
    busy.hidden = false;
    show("Opening");
    try {
      const choice = await choose();
      const model = await trainer.call("openModel", { ...choice, like: like?.() }, {
        signal,
        onEvent(event) {
          if (signal.aborted) return;
          if ("tensors" in event) {
            show(`Reading ${event.tensors} of ${event.of} tensors`, event.tensors, event.of);
          } else if (event.total === undefined) show(`Fetching ${event.file}: ${bytes(event.bytes)}`);
          else {show(
              `Fetching ${event.file}: ${bytes(event.bytes)} of ${bytes(event.total)}`,
              event.bytes,
              event.total,
            );}
        },
      });
      if (signal.aborted) return;
      fillFacts(byId("model-facts"), factsOf(model));
      fillList(byId("model-notices"), model.notices);
      onModel(model);
    } catch (error) {
      if (!signal.aborted || !isCancelled(error)) showProblem(problem, error);
    } finally {
      if (controller.signal === signal) busy.hidden = true;
    }
  };
  const show = (label: string, value?: number, max?: number) => {
    byId("model-progress-label").textContent = label;
    if (value === undefined || max === undefined) progress.removeAttribute("value");
    else Object.assign(progress, { max, value });
  };
  const take = (files: ChosenFile[] | Promise<ChosenFile[]>) =>
    void open(async () => modelFilesOf(await files));

  for (const id of ["model-folder", "model-files"]) {
    const input = byId<HTMLInputElement>(id);
    input.addEventListener("change", () => {
      if (input.files?.length) take(filesOfInput(input));
      // The same folder may be chosen again.
      input.value = "";
    });
  }
  acceptDrops(byId("model-drop"), take);
  byId("model-address").addEventListener("submit", (event) => {
    event.preventDefault();
    void open(() => ({ address: byId<HTMLInputElement>("address").value.trim() }));
  });
  byId("model-cancel").addEventListener("click", () => {
    controller?.abort();
    busy.hidden = true;
  });
  return {
    close() {
      controller?.abort();
      byId("model-facts").hidden = true;
      fillList(byId("model-notices"), []);
      showProblem(problem, undefined);
      onModel(undefined);
    },
  };
}

function factsOf(model: ModelInfo): Record<string, string> {
  return {
    "Model": model.name,
    "Family": `${model.family}, ${model.hiddenSize} wide`,
    "Values": `${count(model.numParameters)} (${bytes(model.bytes)})`,
    "Longest text": countOf(model.maxLength, "token"),
    "Texts are pooled by": model.pooling,
    "Device": model.isSoftware ? "the CPU, in software: slow" : model.device,
  };
}
