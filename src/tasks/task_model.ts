import { type Gpu, Module, type Tensor } from "../engine/mod.ts";
import type { Backbone, Inputs } from "../models/mod.ts";
import { createHead, type Head, PooledHead } from "./heads/head.ts";
import type { Task } from "./task.ts";

/** Options of {@linkcode TaskModel.create}. */
export interface TaskModelOptions {
  readonly task: Task;
  /** Seed of the head's weights. */
  readonly seed: number;
}

/** An encoder with a head for a task. Parameters are named `encoder.…` and `head.…`. */
export class TaskModel extends Module {
  readonly encoder: Backbone;
  readonly head: Head;
  readonly task: Task;

  constructor(encoder: Backbone, head: Head, options: { readonly task: Task }) {
    super();
    this.encoder = encoder;
    this.head = head;
    this.task = options.task;
  }

  /** Puts a new head on an encoder, without a pooler where the head doesn't pool; see {@linkcode createHead}. */
  static create(gpu: Gpu, encoder: Backbone, options: TaskModelOptions): TaskModel {
    const { task, seed } = options;
    const { perToken, labels } = task;
    const head = createHead(gpu, encoder, { size: labels.length, perToken, seed });
    return new TaskModel(head instanceof PooledHead ? encoder : encoder.withoutPooler(), head, { task });
  }

  /** The device that the parameters are on. */
  get gpu(): Gpu {
    return this.head.namedParameters().next().value![1].gpu;
  }

  /** Outputs [..., K] of texts [..., T], or [..., T, K] where the task asks for each token's. */
  forward(inputs: Inputs): Tensor {
    return this.head.forward(this.encoder.encode(inputs), inputs, this.encoder);
  }

  /** The same model with its encoder's checkpointing on or off. */
  withCheckpointing(on: boolean): TaskModel {
    return new TaskModel(this.encoder.withCheckpointing(on), this.head, this);
  }
}
