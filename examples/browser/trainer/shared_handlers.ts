import { type ClassPrediction, predict } from "federa";
import type { Handlers } from "../common/remote.ts";
import { adapterFiles } from "./adapter_files.ts";
import type { SharedCalls } from "./calls.ts";
import { chooseColumns, readTable } from "./data.ts";
import { filesOf } from "./open_model.ts";
import { SEED, type Workbench } from "./workbench.ts";

/** Answers what both pages ask. */
export function sharedHandlers(bench: Workbench): Handlers<SharedCalls> {
  return {
    async openModel(choice, context) {
      const { info } = await bench.open(filesOf(choice, context), {
        like: choice.like,
        onProgress: (tensors, of) => context.report({ tensors, of }),
      });
      return info;
    },
    async readTable(file) {
      const { rows, info } = await readTable(file);
      bench.rows = rows;
      bench.data = undefined;
      return info;
    },
    async chooseColumns(columns) {
      if (bench.rows === undefined) throw new TypeError("Cannot choose columns: no table has been read");
      bench.data = chooseColumns(bench.rows, columns, { seed: SEED, prescribed: bench.prescribed?.task });
      return bench.data.info;
    },
    predict: ({ run, text }) =>
      bench.recover(async () => {
        const { model, tokenizer, data, maxLength } = await bench.ask(run);
        const set = data.task.prepare([data.task.ask(text)], tokenizer, { maxLength });
        const [prediction] = await predict(model, set);
        return prediction as ClassPrediction;
      }),
    download: ({ run, base }) =>
      bench.recover(async () => {
        const { pretrained, model, opened, maxLength, files } = await bench.ask(run);
        return await adapterFiles(model, { pretrained, family: opened.family, base, maxLength, files });
      }),
  };
}
