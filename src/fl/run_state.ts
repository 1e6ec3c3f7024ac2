import type { Gpu } from "../engine/mod.ts";
import { CorruptFileError } from "../data/errors.ts";
import { encodeSafetensors, readSafetensors } from "../models/weights/safetensors.ts";
import type { FlightRecord, InFlight } from "./asynchrony/in_flight.ts";
import { type ClientStore, hostStore, type StoredClient } from "./client/client_store.ts";
import type { HostTensor, HostTensors } from "./tensors.ts";
import { decodeTree, encodeTree, type Tree } from "./tree.ts";

/**
 * All that a run must keep between rounds, beside what follows from weights, seed and options: a run that continues from it has the
 * same bits.
 */
export interface RunState {
  /** Rounds done. */
  readonly round: number;
  /** The method's state. */
  readonly method: Tree;
  /** The last round that each client took part in; 0 for never. */
  readonly lastRounds: readonly number[];
  /** What clients keep. */
  readonly clients: ClientStore;
  /** Who trains while the server moves, and the simulated clock, where the server is asynchronous. */
  readonly inFlight?: InFlight;
}

const format = { format: "federa-run-state", version: "1" } as const;

/** Options of {@linkcode encodeRunState}. */
export interface EncodeRunStateOptions {
  /** What else the file says, as names and texts: hashes of what the run stands on. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * A run's state as one safetensors file, what clients keep included; where that is in files of its own, the names and hashes of
 * these. Equal states give equal bytes.
 *
 * @example
 * ```ts no-run
 * for await (const event of simulate(pretrained, options)) {
 *   if (event.type === "round") await writeFileAtomic("run.safetensors", await encodeRunState(event.state));
 * }
 * ```
 */
export async function encodeRunState(
  state: RunState,
  options: EncodeRunStateOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { structure, tensors } = await encodeTree(state.method);
  const stored = new Map<string, HostTensor>([...tensors].map(([name, each]) => [`method/${name}`, each]));
  const { files } = state.clients;
  for (const id of files === undefined ? state.clients.clients : []) {
    for (const [name, each] of await state.clients.load(id) ?? []) stored.set(`client/${id}/${name}`, each);
  }
  const { inFlight } = state;
  for (const { client: { id }, sent, keep } of inFlight?.flights ?? []) {
    for (const [name, each] of sent) stored.set(`flight/${id}/sent/${name}`, each);
    for (const [name, each] of keep) stored.set(`flight/${id}/keep/${name}`, each);
  }
  return encodeSafetensors(
    new Map([...stored].map(([name, { shape, data }]) => [name, { dtype: "F32", shape, data }])),
    {
      ...options.metadata,
      ...format,
      round: String(state.round),
      method: JSON.stringify(structure),
      lastRounds: JSON.stringify(state.lastRounds),
      ...(inFlight !== undefined && {
        inFlight: JSON.stringify({
          seconds: inFlight.seconds,
          flights: inFlight.flights.map(({ sent: _, keep: __, ...record }) => record),
        }),
      }),
      ...(files !== undefined && { clientFiles: JSON.stringify(files) }),
    },
  );
}

/** What a file of {@linkcode encodeRunState} holds. */
export interface DecodedRunState {
  readonly state: RunState;
  /** What else the file says. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Options of {@linkcode decodeRunState}. */
export interface DecodeRunStateOptions {
  /** Opens what clients keep in files of its own, such as `(files) => diskStore(folder, files)`. */
  readonly openClients?: ((files: readonly StoredClient[]) => ClientStore) | undefined;
}

/**
 * Reads a run's state, its tensors onto a device.
 *
 * @throws {CorruptFileError} when the file is broken, or of another version.
 * @throws {TypeError} when what clients keep is in files of its own, and nothing opens these.
 */
export function decodeRunState(
  gpu: Gpu,
  bytes: Uint8Array,
  { openClients }: DecodeRunStateOptions = {},
): DecodedRunState {
  const { tensors, metadata } = readSafetensors(bytes);
  for (const [key, value] of Object.entries(format)) {
    if (key === "version" && Number(metadata[key]) > Number(value)) {
      throw new CorruptFileError(
        `Cannot read a run's state: a later version of federa wrote it, in format ${
          metadata[key]
        }; this one reads ${value}`,
      );
    }
    if (metadata[key] !== value) {
      throw new CorruptFileError(
        `Cannot read a run's state: its ${key} must be ${value}, got ${metadata[key]}`,
      );
    }
  }
  const ofMethod = new Map<string, HostTensor>();
  const ofClients = new Map<number, Map<string, HostTensor>>();
  const ofFlights = new Map<string, Map<string, HostTensor>>();
  for (const [path, stored] of tensors) {
    if (stored.dtype !== "F32") {
      throw new CorruptFileError(`Cannot read a run's state: ${path} must be F32, got ${stored.dtype}`);
    }
    const own = { shape: stored.shape, data: stored.data };
    const [, flight, sent] = /^flight\/(\d+\/(?:sent|keep))\/(.+)$/s.exec(path) ?? [];
    if (flight !== undefined) {
      ofFlights.set(flight, (ofFlights.get(flight) ?? new Map<string, HostTensor>()).set(sent!, own));
      continue;
    }
    const [, id, name] = /^client\/(\d+)\/(.+)$/s.exec(path) ?? [];
    if (id !== undefined) {
      const kept = ofClients.get(Number(id)) ?? new Map<string, HostTensor>();
      ofClients.set(Number(id), kept.set(name!, own));
    } else ofMethod.set(path.replace(/^method\//, ""), own);
  }
  const { round, method, lastRounds, clientFiles, inFlight, ...others } = metadata;
  const clients: ReadonlyMap<number, HostTensors> = ofClients;
  const plain = {
    round: parse(
      round,
      "round",
      (value): value is number => Number.isInteger(value) && Number(value) >= 0,
    ),
    lastRounds: parse(
      lastRounds,
      "lastRounds",
      (value): value is number[] => Array.isArray(value) && value.every((each) => Number.isInteger(each)),
    ),
    ...(inFlight !== undefined && {
      inFlight: withTensors(parse(inFlight, "inFlight", areFlights), ofFlights),
    }),
    clients: clientFiles === undefined
      ? hostStore(clients)
      : open(parse(clientFiles, "clientFiles", areFiles), openClients),
  };
  const structure = parse(method, "method", (_): _ is unknown => true);
  // The tensors come last: nothing is left on the device when something is wrong.
  const state: RunState = { ...plain, method: decodeTree(gpu, { structure, tensors: ofMethod }) };
  for (const key of Object.keys(format)) delete others[key];
  return { state, metadata: others };
}

function open(
  files: readonly StoredClient[],
  openClients: DecodeRunStateOptions["openClients"],
): ClientStore {
  if (openClients !== undefined) return openClients(files);
  throw new TypeError(
    "Cannot read a run's state: its clients' states are in files of their own; give openClients",
  );
}

/** Who is in flight, without tensors. */
interface InFlightRecord {
  readonly seconds: number;
  readonly flights: readonly FlightRecord[];
}

function areFlights(value: unknown): value is InFlightRecord {
  const { seconds, flights } = value as Partial<InFlightRecord>;
  const areNumbers = (...all: unknown[]) => all.every((each) => typeof each === "number" && each >= 0);
  return areNumbers(seconds) && Array.isArray(flights) &&
    flights.every(({ client, version, arrival, bytesUp, loss }: FlightRecord) =>
      Number.isInteger(client.id) && Number.isInteger(version) && Number.isFinite(loss) &&
      areNumbers(client.id, client.numExamples, client.lastRound, version, arrival, bytesUp)
    );
}

function withTensors(
  { seconds, flights }: InFlightRecord,
  tensors: ReadonlyMap<string, HostTensors>,
): InFlight {
  const find = (path: string): HostTensors => tensors.get(path) ?? new Map();
  return {
    seconds,
    flights: flights.map((record) => {
      const { id } = record.client;
      return { ...record, sent: find(`${id}/sent`), keep: find(`${id}/keep`) };
    }),
  };
}

function areFiles(value: unknown): value is StoredClient[] {
  return Array.isArray(value) &&
    value.every(({ client, file, sha256 }: StoredClient) =>
      Number.isInteger(client) && /^client-\d+-[0-9a-f]+\.safetensors$/.test(file) &&
      /^[0-9a-f]{64}$/.test(sha256)
    );
}

function parse<T>(text: string | undefined, key: string, isValid: (value: unknown) => value is T): T {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (isValid(value)) return value;
  } catch {
    // Told below.
  }
  throw new CorruptFileError(`Cannot read a run's state: its ${key} is missing or damaged`);
}
