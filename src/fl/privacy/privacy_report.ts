/** What the privacy of clients has cost up to a round, and what protects it. */
export interface PrivacyReport {
  /** ε of all rounds so far, at δ. It covers the global models alone: losses, participants and what is measured have no noise. */
  readonly epsilon: number;
  readonly delta: number;
  /** z: the noise's standard deviation by the clip norm. */
  readonly noiseMultiplier: number;
  /** C: the longest change that a client could make in the last round. */
  readonly clipNorm: number;
}
