import type { TaskModel } from "../../tasks/mod.ts";
import type { Uploads } from "../aggregation/aggregator.ts";
import type { RoundPlan } from "../method.ts";

/** Where clients start that don't all start alike, and their ranks. */
export type MeasuredPlan = Pick<RoundPlan, "start" | "ranks">;

/** Figures of a round by name; null where one has no meaning. */
export type Figures = Readonly<Record<string, number | null>>;

/**
 * Something that is observed of rounds. Optional, never in the way of a round, and it keeps none of the tensors it's given
 * longer than that.
 */
export interface Measure {
  readonly name: string;
  /** Whether it looks at the upload of each client; then a stage that hides them is refused. */
  readonly seesEach?: boolean;
  /** Begins a round with the global model, whose tensors stay as they are until its end, and what its clients are asked to do. */
  begin(model: TaskModel, plan?: MeasuredPlan): void;
  /** Sees what clients sent, in the order of client numbers. */
  add(uploads: Uploads): void;
  /** The round's figures, with the global model after it. There is one readback, which measures that end together share. */
  end(model: TaskModel): Promise<Figures>;
  /** Frees what it holds of a round, whether ended or given up. */
  dispose(): void;
  /** Frees what it holds of the run. */
  close?(): void;
}

/** Where a run starts. */
export interface MeasureContext {
  readonly pretrained: TaskModel;
  /** The pretrained model with what the method put on it, before the first round. */
  readonly initial: TaskModel;
}

/** Makes a measure for a run. */
export type MeasureFactory = (context: MeasureContext) => Measure;
