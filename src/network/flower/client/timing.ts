/** How long a node waits, in seconds. */
export interface FlowerTiming {
  /** Between two questions for messages. */
  readonly poll: number;
  /** Promised time between two signs of life, from 10 to 1800; a server gives a node up after twice as long. */
  readonly heartbeat: number;
  /** For the answer to a call; five times as long for one that carries an array. */
  readonly answer: number;
  /** Longest wait before a call is tried again; the first is a second, and they double, shortened by chance. */
  readonly retry: number;
  /** For a server that is away, in all. */
  readonly patience: number;
  /** After a reply before the node leaves: the server's program looks for replies every 3 s, and takes none of a node that has left. */
  readonly settle: number;
  /** For a handler to end after its signal. */
  readonly grace: number;
}

/** What nodes do unless told otherwise. */
export const FLOWER_TIMING: FlowerTiming = {
  poll: 3,
  heartbeat: 30,
  answer: 30,
  retry: 20,
  patience: 600,
  settle: 7,
  grace: 60,
};

/** Longest wait without a word, in seconds. */
export const SILENCE = 30;
