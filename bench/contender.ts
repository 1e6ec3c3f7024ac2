import type { Gpu } from "../src/engine/mod.ts";
import type { Jax, Tfjs } from "./peers/mod.ts";
import type { SuiteReport } from "./report.ts";

/** One way of doing the work of a row. */
export interface Contender {
  readonly name: string;
  /** Does the work once and waits until the device has done it. */
  run(): Promise<void>;
}

/** What one row of a suite measured. */
export interface Row {
  readonly name: string;
  /** Milliseconds of every sample, by contender, in the order they were taken. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** Floating-point operations of the row's work, where its rate is of interest. */
  readonly flops?: number;
  /** Floating-point operations of the contender `ceiling`, which does nothing but multiply-adds. */
  readonly ceilingFlops?: number;
  /** Numbers that the row's work loads from the nearest cache, where that bounds it too. */
  readonly loads?: number;
  /** Numbers that the contender `loads` loads, which does little else. */
  readonly boundLoads?: number;
  /** Other figures of the row, by name, for its goal and the record. */
  readonly figures?: Readonly<Record<string, number>>;
  /** What else was found, such as the sweeps of an SVD. */
  readonly note?: string;
}

/** What a suite must show. */
export interface Goal {
  /** In words, with the figure. */
  readonly what: string;
  /** Compares it with what was measured. */
  check(report: SuiteReport): { readonly measured: string; readonly holds: boolean };
}

/** Rows that belong together. */
export interface Suite {
  readonly name: string;
  /** What is compared, in a line. */
  readonly title: string;
  /** The contender that the others' times are divided by. */
  readonly subject: string;
  /** What samples are counted in, milliseconds by default; empty where each row's name says it. */
  readonly unit?: string;
  /** What it must show; said at the end of the run whether it does. */
  readonly goal?: Goal;
  /** Whether other libraries do the same work. */
  readonly comparesPeers?: boolean;
  /** Measures the rows one after another. */
  rows(context: BenchContext): AsyncIterable<Row>;
}

/** What whole federated jobs run with. */
export interface FederationOptions {
  /** Python with what `federation/requirements.txt` lists. */
  readonly python?: string | undefined;
  /** Folder of a BERT-like checkpoint; without it, one of random weights and MiniLM's shape. */
  readonly model?: string | undefined;
  /** JSONL files of texts and labels, both or none; without them, random texts. */
  readonly train?: string | undefined;
  readonly test?: string | undefined;
}

/** What every suite is given. */
export interface BenchContext {
  readonly gpu: Gpu;
  /** jax-js to write a program with; undefined where it can't be run, which was complained of. */
  readonly jax: Jax | undefined;
  /** TensorFlow.js, likewise. */
  readonly tfjs: Tfjs | undefined;
  /** What the suite `federation` runs with. */
  readonly federation: FederationOptions;
  /** Told what is wrong with a peer's row; repeated at the end of the run. */
  complain(what: string): void;
}
