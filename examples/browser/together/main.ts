import { byId } from "../common/element.ts";
import { gpuProblem } from "../common/gpu_problem.ts";
import { showProblem } from "../common/problem.ts";
import { dataStep } from "../steps/data_step.ts";
import { modelStep } from "../steps/model_step.ts";
import { resultStep } from "../steps/result_step.ts";
import type { InvitationInfo } from "../trainer/together_calls.ts";
import { connectTrainer } from "../trainer/connect.ts";
import { invitationStep } from "./invitation_step.ts";
import { partStep } from "./part_step.ts";

const problem = await gpuProblem();
if (problem !== undefined) {
  byId("no-gpu").hidden = false;
  showProblem(byId("no-gpu"), problem);
  byId("federation").hidden = true;
  byId("model").hidden = true;
} else {
  const { trainer, place } = await connectTrainer();
  if (place === "page") {
    byId("place").hidden = false;
    byId("place").textContent =
      "This browser has no WebGPU in workers, so training runs in the page itself: it may answer a little slowly meanwhile.";
  }
  let invitation: InvitationInfo | undefined;
  byId("model").hidden = true;
  const result = resultStep(trainer);
  const part = partStep(trainer, { onModel: result.show });
  const data = dataStep(trainer, { onData: part.setData });
  const model = modelStep(trainer, {
    like: () => invitation?.model,
    onModel(model) {
      byId("data").hidden = model === undefined;
      part.setModel(model);
      result.setModel(model);
      if (model !== undefined) data.wake();
    },
  });
  invitationStep(trainer, {
    onInvitation(next) {
      invitation = next;
      byId("model").hidden = next === undefined;
      // The model and the classes are those of the federation that was read before.
      model.close();
      data.close();
      part.setInvitation(next);
      if (next !== undefined && /^https?:/.test(next.model.source)) {
        byId<HTMLInputElement>("address").value = next.model.source;
      }
    },
  });
}
// For tests and for tools: everything answers from here on.
document.documentElement.dataset["ready"] = "";
