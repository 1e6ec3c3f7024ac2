import { Transform } from "node:stream";

/**
 * A step of a pipeline that passes bytes on until there are more than `most`, and then fails with what `refuse` makes: a
 * few kilobytes can be made to unpack without end.
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
