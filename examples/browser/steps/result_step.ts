import { byId, element, fillList, fillTable, unseen } from "../common/element.ts";
import { showProblem } from "../common/problem.ts";
import type { Remote } from "../common/remote.ts";
import { bytes, percent } from "../common/words.ts";
import type { ModelInfo, SharedCalls } from "../trainer/calls.ts";

/** A trained model to ask and to keep. */
export interface TrainedModel {
  /** Its number with the trainer. */
  readonly run: number;
  /** What it is. */
  readonly words: string;
}

/** The part of the page in which a trained model is asked and kept. */
export interface ResultStep {
  setModel(model: ModelInfo | undefined): void;
  show(choice: TrainedModel): void;
}

/** Most classes whose probabilities are listed. */
const MOST_LISTED = 10;

/** Sets up questions and downloads. */
export function resultStep(trainer: Remote<SharedCalls>): ResultStep {
  const [problem, question] = [byId("ask-problem"), byId<HTMLTextAreaElement>("question")];
  const base = byId<HTMLInputElement>("base");
  let [chosen, addresses]: [number | undefined, string[]] = [undefined, []];

  const ask = async (run: number) => {
    showProblem(problem, undefined);
    try {
      const { label, probabilities } = await trainer.call("predict", { run, text: question.value });
      const sorted = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
      const table = element("table", { class: "bars" });
      fillTable(table, {
        caption: "Probability of each class",
        columns: ["Class", unseen("Bar"), "Probability"],
        rows: sorted.slice(0, MOST_LISTED).map(([name, share]) => [
          name,
          element("meter", { max: 1, value: share, "aria-label": `Probability of ${name}` }),
          percent(share),
        ]),
        figures: [2],
      });
      byId("answer").replaceChildren(element("p", { class: "answer" }, element("strong", {}, label)), table);
    } catch (error) {
      byId("answer").replaceChildren();
      showProblem(problem, error);
    }
  };
  const keep = async (run: number) => {
    showProblem(byId("keep-problem"), undefined);
    forget();
    try {
      const { peft, own, names } = await trainer.call("download", { run, base: base.value.trim() });
      fillList(byId("downloads"), [
        link(peft, "adapter.tar", `for PEFT and sentence-transformers: ${names.join(", ")}`),
        link(own, "adapter.federa.safetensors", "for federa, with the start that it was trained from"),
      ]);
    } catch (error) {
      showProblem(byId("keep-problem"), error);
    }
  };
  const link = (blob: Blob, name: string, purpose: string) => {
    const href = URL.createObjectURL(blob);
    addresses.push(href);
    return element(
      "span",
      {},
      element("a", { href, download: name }, name),
      ` (${bytes(blob.size)}), ${purpose}`,
    );
  };
  const forget = () => {
    addresses.forEach((address) => URL.revokeObjectURL(address));
    addresses = [];
    fillList(byId("downloads"), []);
  };

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen !== undefined) void ask(chosen);
  });
  byId("keep").addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen !== undefined) void keep(chosen);
  });
  return {
    setModel(model) {
      if (model !== undefined) base.value = model.name;
      else byId("result").hidden = true;
    },
    show({ run, words }) {
      chosen = run;
      forget();
      byId("answer").replaceChildren();
      byId("chosen").textContent = words;
      byId("result").hidden = false;
    },
  };
}
