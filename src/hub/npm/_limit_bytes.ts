import { Transform } from "node:stream";

/**
 * A step of a pipeline that passes on at most `most` bytes, and fails with the error of `refuse` at more: a few kilobytes can
 * unpack without end.
 */
export function limitBytes(most: number, refuse: () => Error): Transform {
  let left = most;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      left -= chunk.byteLength;
      if (left < 0) done(refuse());
      else done(null, chunk);
    },
  });
}
