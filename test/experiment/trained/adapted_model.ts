import { type LoadedModel, loadModel } from "../../../src/experiment/model/load_model.ts";
import type { Reporter } from "../../../src/experiment/report/reporter.ts";
import { add, type Gpu, mul } from "../../../src/engine/mod.ts";
import { attachAdapters, federa, type Initialization } from "../../../src/federa/mod.ts";
import { type Task, TaskModel } from "../../../src/tasks/mod.ts";
import { upload } from "../../engine/harness.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

/** A reporter that keeps its lines. */
export class KeepingReporter implements Reporter {
  readonly lines: string[] = [];

  line(text: string): void {
    this.lines.push(text);
  }

  progress(): void {}

  endProgress(): void {}
}

/** What {@linkcode adaptedModel} makes. */
export interface AdaptedModel {
  readonly model: TaskModel;
  readonly pretrained: TaskModel;
  readonly loaded: LoadedModel;
}

/** What {@linkcode adaptedModel} starts from. */
export interface AdaptedModelOptions {
  readonly task: Task;
  /** The base's folder. */
  readonly source: string;
  readonly initialization?: Initialization;
  readonly pooling?: "mean";
}

/** A model whose queries are adapted, factors and head moved at random as if trained. */
export async function adaptedModel(
  gpu: Gpu,
  { task, source, pooling, initialization = federa({ svd: "exact" }) }: AdaptedModelOptions,
): Promise<AdaptedModel> {
  const reporter = new KeepingReporter();
  const loaded = await loadModel(gpu, { model: { source, pooling }, precision: "f32" }, { reporter });
  const pretrained = TaskModel.create(gpu, loaded.encoder, { task, seed: 3 });
  const random = new Random(5);
  const adapted = await attachAdapters(pretrained, {
    targets: ["**.self.query"],
    rank: 2,
    alpha: 4,
    initialization,
  });
  const model = adapted.mapParameters((name, each) =>
    /lora[AB]$|^head\./.test(name) ? add(each, mul(upload(gpu, gaussian(each.shape, random)), 0.3)) : each
  );
  return { model, pretrained, loaded };
}
