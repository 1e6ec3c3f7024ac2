import { CorruptFileError } from "../../data/errors.ts";
import { encodeSafetensors, readSafetensors } from "../../models/weights/safetensors.ts";
import type { HostTensor, HostTensors } from "../tensors.ts";

/** What a client knew after a round. */
export interface Memory {
  readonly round: number;
  /** Values of global parameters, as all its downloads made them. */
  readonly received: HostTensors;
  /** What it keeps to itself. */
  readonly kept: HostTensors;
}

const format = { format: "federa-participant", version: "1" } as const;

/** What a client knew after some rounds, as one safetensors file. Equal memories give equal bytes. */
export function encodeMemories(memories: readonly Memory[], owner: string): Uint8Array<ArrayBuffer> {
  const stored = memories.flatMap(({ round, received, kept }) =>
    Object.entries({ received, kept }).flatMap(([part, tensors]) =>
      [...tensors].map(([name, { shape, data }]) =>
        [`${round}/${part}/${name}`, { dtype: "F32", shape, data }] as const
      )
    )
  );
  const rounds = JSON.stringify(memories.map(({ round }) => round));
  return encodeSafetensors(new Map(stored), { ...format, owner, rounds });
}

/**
 * Reads what {@linkcode encodeMemories} wrote.
 *
 * @throws {CorruptFileError} when the file is broken, or another owner's.
 */
export function decodeMemories(bytes: Uint8Array, owner: string): Memory[] {
  const { tensors, metadata } = readSafetensors(bytes);
  for (const [key, value] of Object.entries({ ...format, owner })) {
    if (metadata[key] !== value) throw corrupt(`its ${key} must be ${value}, got ${metadata[key]}`);
  }
  const rounds = roundsOf(metadata["rounds"]);
  const memories = new Map(
    rounds.map((
      round,
    ) => [round, { received: new Map<string, HostTensor>(), kept: new Map<string, HostTensor>() }]),
  );
  for (const [path, { dtype, shape, data }] of tensors) {
    const [, round, part, name] = /^(\d+)\/(received|kept)\/(.+)$/s.exec(path) ?? [];
    const memory = memories.get(Number(round));
    if (memory === undefined || dtype !== "F32") throw corrupt(`it holds ${path}, ${dtype}`);
    memory[part as keyof typeof memory].set(name!, { shape, data });
  }
  return rounds.map((round) => ({ round, ...memories.get(round)! }));
}

function roundsOf(text = ""): number[] {
  try {
    const rounds: unknown = JSON.parse(text);
    const isRound = (each: unknown, i: number) =>
      Number.isInteger(each) && Number(each) > Number(i === 0 ? 0 : (rounds as number[])[i - 1]);
    if (Array.isArray(rounds) && rounds.every(isRound)) return rounds;
  } catch {
    // Told below.
  }
  throw corrupt("its rounds are missing or damaged");
}

function corrupt(what: string): CorruptFileError {
  return new CorruptFileError(`Cannot read a participant's state: ${what}`);
}
