import {
  type Primitives,
  SecureClient,
  type SecureMessage,
  SecureServer,
  type SecureSum,
} from "../../src/fl/privacy/secure_aggregation/mod.ts";

/** Before which of its messages a client is lost. */
export const phases = ["keys", "shares", "vector", "secrets"] as const;

/** A phase of secure aggregation. */
export type Phase = (typeof phases)[number];

/** Options of {@linkcode runSecurely}. */
export interface SecureRunOptions {
  /** Each client's vector. */
  readonly inputs: ReadonlyMap<number, Uint32Array>;
  readonly holders: ReadonlyMap<number, readonly number[]>;
  readonly threshold: number;
  /** Clients that are lost, and before which message. */
  readonly lost?: ReadonlyMap<number, Phase>;
  /** What each client draws by; the system's by default. */
  readonly primitivesOf?: (client: number) => Primitives;
  readonly serverPrimitives?: Primitives;
  /** Changes a message on its way to the server. */
  readonly meddle?: <Message extends SecureMessage>(message: Message) => Message;
}

/** A sum, and all that the server got from clients, in order. */
export interface SecureRun extends SecureSum {
  readonly received: readonly SecureMessage[];
}

/** One secure aggregation of clients and a server in this process. */
export async function runSecurely(options: SecureRunOptions): Promise<SecureRun> {
  const { inputs, holders, threshold, lost, primitivesOf, serverPrimitives, meddle = (message) => message } =
    options;
  const received: SecureMessage[] = [];
  const take = <Message extends SecureMessage>(message: Message): Message => {
    const arrived = meddle(message);
    received.push(arrived);
    return arrived;
  };
  const isThere = (id: number, phase: Phase) => {
    const last = lost?.get(id);
    return last === undefined || phases.indexOf(phase) < phases.indexOf(last);
  };
  const [{ length }] = [...inputs.values()] as [Uint32Array];
  const server = new SecureServer({ holders, threshold, length, primitives: serverPrimitives });
  const clients = new Map<number, SecureClient>();
  for (const [id, setup] of server.open()) {
    const client = new SecureClient(setup, primitivesOf?.(id));
    clients.set(id, client);
    if (isThere(id, "keys")) server.addKeys(take(await client.advertiseKeys()));
  }
  for (const [id, directory] of server.closeKeys()) {
    if (isThere(id, "shares")) server.addShares(take(await clients.get(id)!.shareKeys(directory)));
  }
  for (const [id, forwarded] of server.closeShares()) {
    if (isThere(id, "vector")) {
      server.addVector(take(await clients.get(id)!.mask(inputs.get(id)!, forwarded)));
    }
  }
  for (const [id, request] of server.closeVectors()) {
    if (isThere(id, "secrets")) server.addSecrets(take(clients.get(id)!.unmask(request)));
  }
  return { ...await server.finish(), received };
}

/** The sum of vectors modulo 2³², in big integers. */
export function plainSum(vectors: readonly Uint32Array[]): number[] {
  return Array.from(
    { length: vectors[0]!.length },
    (_, i) => Number(vectors.reduce((sum, vector) => sum + BigInt(vector[i]!), 0n) % (1n << 32n)),
  );
}
