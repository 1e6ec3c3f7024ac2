import type { Random } from "./random.ts";

/** Makes a broken, odd or hostile variant of a file's bytes. */
export type Mutate = (bytes: Uint8Array, random: Random) => Uint8Array<ArrayBuffer>;

/** Numbers at which readers break: limits of integer and float types, and what is no number of theirs. */
const NUMBERS = [
  ...[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "8",
    "127",
    "128",
    "255",
    "256",
    "32767",
    "65535",
    "65536",
    "-0",
    "0.5",
    "-1.5",
  ],
  ...["2147483647", "2147483648", "-2147483648", "4294967295", "4294967296", "9007199254740991"],
  ...["9007199254740993", "18446744073709551615", "9223372036854775807", "1e20", "1e308", "1e999", "1e-400"],
  ...["NaN", "Infinity", "1e", "0x10", "007", "1000000", "100000000"],
];
const FRAGMENTS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "\n",
  "\r",
  "\t",
  "\0",
  "null",
  "true",
  '""',
  "[]",
  "{}",
];

/** Any file: flips, cuts, splices and repeats bytes, and puts extreme integers in, once or a few times over. */
export const mutateBytes: Mutate = (bytes, random) => {
  let result = new Uint8Array(bytes);
  for (let edits = 1 + random.integer(3); edits > 0; edits--) result = editBytes(result, random);
  return result;
};

function editBytes(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.integer(bytes.length + 1);
  const [start, end] = range(bytes.length, random);
  switch (random.integer(9)) {
    case 0:
    case 1:
      return overwritten(bytes, at, [(bytes[at] ?? 0) ^ (1 << random.integer(8))]);
    case 2:
      return overwritten(bytes, at, [pick([0, 1, 0x7f, 0x80, 0xff, random.integer(256)], random)]);
    case 3: {
      const word = new DataView(new ArrayBuffer(8));
      word.setBigInt64(
        0,
        pick([0n, -1n, 1n << 31n, 1n << 32n, 1n << 63n, (1n << 63n) - 1n, 1n << 20n], random),
        true,
      );
      return overwritten(bytes, at, new Uint8Array(word.buffer, 0, pick([2, 4, 8], random)));
    }
    case 4:
      return bytes.slice(0, at);
    case 5:
      return joined(bytes.subarray(0, start), bytes.subarray(end));
    case 6:
      return joined(bytes.subarray(0, end), ...new Array(1 + random.integer(3)).fill(bytes.subarray(start)));
    case 7:
      return overwritten(bytes, at, bytes.slice(start, end));
    default: {
      const noise = Uint8Array.from({ length: 1 + random.integer(16) }, () => random.integer(256));
      return joined(bytes.subarray(0, at), noise, bytes.subarray(at));
    }
  }
}

/** Text of any format: numbers exchanged for extreme ones, lines and marks lost, doubled and moved; or any bytes. */
export const mutateText: Mutate = (bytes, random) => {
  if (random.integer(4) === 0) return mutateBytes(bytes, random);
  let text = new TextDecoder().decode(bytes);
  for (let edits = 1 + random.integer(3); edits > 0; edits--) text = editText(text, random);
  return new TextEncoder().encode(text);
};

function editText(text: string, random: Random): string {
  const [start, end] = range(text.length, random);
  const at = random.integer(text.length + 1);
  switch (random.integer(6)) {
    case 0: {
      const numbers = [...text.matchAll(/-?\d+(\.\d+)?/g)];
      if (numbers.length === 0) return text;
      const found = pick(numbers, random);
      return text.slice(0, found.index) + pick(NUMBERS, random) + text.slice(found.index + found[0].length);
    }
    case 1:
      return text.slice(0, at) + pick(FRAGMENTS, random) + text.slice(at);
    case 2: {
      const marks = [...text.matchAll(/["{}[\],:;\t\n\r\\]/g)];
      if (marks.length === 0) return text;
      const { index } = pick(marks, random);
      return text.slice(0, index) + (random.integer(2) ? "" : pick(FRAGMENTS, random)) +
        text.slice(index + 1);
    }
    case 3: {
      const lines = text.split("\n");
      const line = random.integer(lines.length);
      const [moved = ""] = lines.splice(line, 1);
      for (let copies = random.integer(3); copies > 0; copies--) {
        lines.splice(random.integer(lines.length + 1), 0, moved);
      }
      return lines.join("\n");
    }
    case 4:
      return text.slice(0, start) + text.slice(end);
    default:
      return text.slice(0, end) + text.slice(start);
  }
}

/** JSON that stays JSON: values lost, doubled, exchanged, retyped and nested; or, now and then, any text. */
export const mutateJson: Mutate = (bytes, random) => {
  if (random.integer(5) === 0) return mutateText(bytes, random);
  let root: unknown;
  try {
    root = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return mutateText(bytes, random);
  }
  for (let edits = 1 + random.integer(3); edits > 0; edits--) root = editJson(root, random);
  const text = JSON.stringify(root);
  return new TextEncoder().encode(random.integer(30) === 0 ? nestDeep(text, random) : text);
};

/** A value, if it is a plain one, put into as many arrays or objects as a recursive reader can't follow. */
function nestDeep(text: string, random: Random): string {
  const values = [...text.matchAll(/[\d.]+|"[^"]*"(?!:)|null|true|false/g)];
  if (values.length === 0) return text;
  const { 0: value, index } = pick(values, random);
  const depth = pick([10, 1000, 100_000], random);
  const nested = random.integer(2)
    ? "[".repeat(depth) + value + "]".repeat(depth)
    : '{"a":'.repeat(depth) + value + "}".repeat(depth);
  return text.slice(0, index) + nested + text.slice(index + value.length);
}

/** One edit somewhere in a JSON value, which isn't changed itself. */
export function editJson(root: unknown, random: Random): unknown {
  const copy = { root: structuredClone(root) };
  const slots = slotsOf(copy);
  const { parent, key } = pick(slots, random);
  const value = parent[key];
  switch (random.integer(8)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else if (parent !== copy) delete parent[key];
      break;
    case 1:
      if (Array.isArray(parent)) parent.splice(Number(key), 0, structuredClone(value));
      else if (parent !== copy) {
        parent[pick(["", "a", `${key}x`, "__proto__x", "constructor"], random)] = value;
      }
      break;
    case 2: {
      const other = pick(slots, random);
      parent[key] = structuredClone(other.parent[other.key]);
      break;
    }
    case 3:
      parent[key] = random.integer(2) ? [value] : { a: value };
      break;
    case 4:
      parent[key] = typeof value === "string" ? Number(value) || [value] : JSON.stringify(value);
      break;
    case 5:
      parent[key] = typeof value === "string" ? editString(value, random) : oddValue(random);
      break;
    default:
      parent[key] = oddValue(random);
  }
  return copy.root;
}

interface Slot {
  readonly parent: Record<string, unknown>;
  readonly key: string;
}

/** Every place of a value in a JSON value; at most some thousands, of a large one. */
function slotsOf(root: object): Slot[] {
  const slots: Slot[] = [];
  const open: object[] = [root];
  while (open.length > 0 && slots.length < 5000) {
    const parent = open.shift()! as Record<string, unknown>;
    for (const [key, value] of Object.entries(parent)) {
      slots.push({ parent, key });
      if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return slots;
}

function oddValue(random: Random): unknown {
  const values = [
    null,
    true,
    false,
    "",
    "\ud800",
    "a".repeat(5000),
    [],
    {},
    [[]],
    [null],
    { a: 1 },
    -1,
    0,
    1,
    0.5,
  ];
  return pick([...values, ...NUMBERS.map(Number).filter(Number.isFinite)], random);
}

function editString(text: string, random: Random): string {
  const at = random.integer(text.length + 1);
  return text.slice(0, at) + pick(["", "\0", "\u{1f600}", "/", "..", "é", " ", "\ufeff"], random) +
    text.slice(at + 1);
}

/** A random range of at most a length, empty ones among them. */
function range(length: number, random: Random): [start: number, end: number] {
  const start = random.integer(length + 1);
  return [start, start + random.integer(Math.min(64, length - start) + 1)];
}

function overwritten(bytes: Uint8Array, at: number, values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(bytes);
  for (let i = 0; i < values.length && at + i < result.length; i++) result[at + i] = values[i]!;
  return result;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)]!;
}
