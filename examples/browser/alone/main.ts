import { byId } from "../common/element.ts";
import { gpuProblem } from "../common/gpu_problem.ts";
import { showProblem } from "../common/problem.ts";
import { connectTrainer } from "../trainer/connect.ts";
import { dataStep } from "../steps/data_step.ts";
import { modelStep } from "../steps/model_step.ts";
import { resultStep } from "../steps/result_step.ts";
import { nameOf } from "./run_book.ts";
import { trainingStep } from "./training_step.ts";

const problem = await gpuProblem();
if (problem !== undefined) {
  byId("no-gpu").hidden = false;
  showProblem(byId("no-gpu"), problem);
  byId("model").hidden = true;
} else {
  const { trainer, place } = await connectTrainer();
  if (place === "page") {
    byId("place").hidden = false;
    byId("place").textContent =
      "This browser has no WebGPU in workers, so training runs in the page itself: it may answer a little slowly meanwhile.";
  }
  const result = resultStep(trainer);
  const training = trainingStep(trainer, {
    onRun: (run) =>
      result.show({
        run: run.id,
        words: `With ${nameOf(run.settings)}, as it is after ${run.step} of ${run.steps} steps.`,
      }),
  });
  const data = dataStep(trainer, { onData: training.setData });
  modelStep(trainer, {
    onModel(model) {
      byId("data").hidden = model === undefined;
      training.setModel(model);
      result.setModel(model);
      if (model !== undefined) data.wake();
    },
  });
}
// For tests and for tools: everything answers from here on.
document.documentElement.dataset["ready"] = "";
