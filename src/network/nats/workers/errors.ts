import { FederaError } from "../../../engine/mod.ts";

/** A run on workers can't begin or go on; the message says why, and what to do. */
export class WorkersError extends FederaError {
  override name = "WorkersError";
}

/** A run doesn't take a worker, whose bits would be others: it has another version, adapter or arithmetic. */
export class WorkerRefusedError extends FederaError {
  override name = "WorkerRefusedError";
}

/** What a worker sent isn't what it was asked for. */
export class WrongResultError extends FederaError {
  override name = "WrongResultError";
}
