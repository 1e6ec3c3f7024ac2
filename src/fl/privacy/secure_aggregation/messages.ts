/** Bytes with memory of their own, as WebCrypto takes them. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What every message says: which aggregation it belongs to, and whom it comes from or goes to beside the server. */
interface Envelope<Kind extends string> {
  readonly kind: Kind;
  /** Names this aggregation: 32 hexadecimal digits that the server draws anew each time. */
  readonly session: string;
  /** Number of the client that sends or gets it. */
  readonly client: number;
}

/** Stage 0, to a client: how the aggregation goes. */
export interface Setup extends Envelope<"setup"> {
  /** Who holds shares of this client's secrets: its neighbours and itself, ascending. */
  readonly holders: Uint32Array;
  /** Shares that give a secret back. */
  readonly threshold: number;
}

/** Stage 0, from a client: its public keys, X25519. */
export interface AdvertisedKeys extends Envelope<"advertised-keys"> {
  /** For the encryption of shares between clients; 32 bytes. */
  readonly encryptionKey: Uint8Array;
  /** For the masks of pairs; 32 bytes. */
  readonly maskKey: Uint8Array;
}

/** Stage 1, to a client: the keys of those of its holders that have sent some, itself included. */
export interface KeyDirectory extends Envelope<"key-directory"> {
  /** Ascending. */
  readonly clients: Uint32Array;
  /** 32 bytes of each. */
  readonly encryptionKeys: Uint8Array;
  readonly maskKeys: Uint8Array;
}

/** Stage 1, from a client: a share of its mask key and of its seed for each other client of its directory, which alone can read it. */
export interface SealedShares extends Envelope<"sealed-shares"> {
  /** SHA-256 of the seed, by which the server knows that it has put the right one together. */
  readonly commitment: Uint8Array;
  /** For whom, ascending. */
  readonly clients: Uint32Array;
  /** {@linkcode BOX_BYTES} for each. */
  readonly boxes: Uint8Array;
}

/** Stage 2, to a client: the shares that others have sealed for it. These clients are who it masks its vector with. */
export interface ForwardedShares extends Envelope<"forwarded-shares"> {
  /** From whom, ascending. */
  readonly clients: Uint32Array;
  readonly boxes: Uint8Array;
}

/** Stage 2, from a client: its vector under its masks, modulo 2³². */
export interface MaskedVector extends Envelope<"masked-vector"> {
  readonly vector: Uint32Array;
}

/** Stage 3, to a client: of whom it should give which share. */
export interface UnmaskRequest extends Envelope<"unmask-request"> {
  /** Those whose vectors have come: shares of their seeds are asked for; ascending. */
  readonly alive: Uint32Array;
  /** Those that had sealed shares, and whose vectors are missing: shares of their mask keys are asked for. */
  readonly dropped: Uint32Array;
}

/** Stage 3, from a client: the shares it was asked for. */
export interface UnmaskShares extends Envelope<"unmask-shares"> {
  readonly alive: Uint32Array;
  /** {@linkcode SHARE_BYTES} for each. */
  readonly seedShares: Uint8Array;
  readonly dropped: Uint32Array;
  readonly keyShares: Uint8Array;
}

/** What clients and server of secure aggregation send each other; see {@linkcode encodeMessage} for its bytes. */
export type SecureMessage =
  | Setup
  | AdvertisedKeys
  | KeyDirectory
  | SealedShares
  | ForwardedShares
  | MaskedVector
  | UnmaskRequest
  | UnmaskShares;

/** Bytes of a public or secret key, a seed and a commitment. */
export const KEY_BYTES = 32;
/** Bytes of a share of such a secret: a byte for each of its bytes, and the place where it was taken. */
export const SHARE_BYTES = KEY_BYTES + 1;
/** Bytes of two sealed shares: AES-GCM's nonce and tag beside them. */
export const BOX_BYTES = 12 + 2 * SHARE_BYTES + 16;
