import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { toExamples } from "../../src/data/examples/read_examples.ts";
import { type DataFormat, readRows } from "../../src/data/rows/read_rows.ts";
import { fuzz } from "../support/fuzz.ts";
import { type Mutate, mutateBytes, mutateJson, mutateText } from "../support/mutate.ts";
import { temporaryFolder } from "../support/temporary_files.ts";

const folder = temporaryFolder();

const limits = { maxBytes: 4 << 20, maxRows: 50_000 };
const errors = ["CorruptFileError", "DataLimitError"];
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Reads a file of a format, and then its rows as each kind of examples, most of which they can't be. */
async function readAll(format: DataFormat, bytes: Uint8Array): Promise<void> {
  const path = join(folder, `file.${format}`);
  await writeFile(path, bytes);
  const rows = await readRows(path, limits);
  for (
    const kind of ["sequence-classification", "multi-label-classification", "question-answering"] as const
  ) {
    try {
      toExamples(kind, rows);
    } catch (error) {
      if (!(error instanceof Error && error.name === "CorruptFileError")) throw error;
    }
  }
}

const squad = {
  version: "v2.0",
  data: [{
    title: "T",
    paragraphs: [{
      context: "The 😀 cost 308",
      qas: [{ id: "1", question: "How much?", answers: [{ text: "308", answer_start: 11 }] }],
    }],
  }],
};
const texts: Readonly<Record<Exclude<DataFormat, "parquet">, { corpus: string[]; mutate: Mutate }>> = {
  csv: {
    corpus: [
      'text,label\n"a, ""b""",1\r\n"two\nlines",0\nü😀,x\n',
      "a;b\n1;2\n\n3;4",
      "id,text,label,labels\n1,a,b,c\n",
    ],
    mutate: mutateText,
  },
  tsv: { corpus: ['text\tlabel\na b\t1\n"c\td"\t0\n'], mutate: mutateText },
  conll: {
    corpus: ["-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\nPeter NNP B-PER\n"],
    mutate: mutateText,
  },
  jsonl: {
    corpus: [
      '{"text":"a","label":1}\n\n{"text":"b","label":"x","labels":["p","q"]}\r\n',
      '{"a":[{"b":null}]}',
    ],
    mutate: mutateText,
  },
  json: { corpus: [JSON.stringify(squad), '[{"text":"a","label":1,"labels":[0]}]'], mutate: mutateJson },
};

for (const [format, { corpus, mutate }] of Object.entries(texts)) {
  test(`readRows() reads mutated ${format} or refuses it`, async () => {
    const read = (bytes: Uint8Array) => readAll(format as DataFormat, bytes);
    await fuzz(format, read, { corpus: corpus.map(bytesOf), mutate, errors });
  });
}

/** Bytes anywhere, or of the footer alone, or of the data alone, with the length of the footer set right. */
const mutateParquet: Mutate = (bytes, random) => {
  const part = random.integer(4);
  if (part === 0) return mutateBytes(bytes, random);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
  const footerAt = bytes.length - 8 - length;
  let [data, footer] = [bytes.slice(4, footerAt), bytes.slice(footerAt, -8)];
  if (part === 1) data = mutateBytes(data, random);
  // Statistics and notes take most of a footer: the structure is at its beginning.
  else if (part === 2) footer = mutateBytes(footer, random);
  else {
    const head = Math.min(footer.length, 700);
    const mutated = mutateBytes(footer.subarray(0, head), random);
    footer = new Uint8Array([...mutated, ...footer.subarray(head)]);
  }
  const file = new Uint8Array(12 + data.length + footer.length);
  file.set(bytes.subarray(0, 4));
  file.set(data, 4);
  file.set(footer, 4 + data.length);
  new DataView(file.buffer).setUint32(file.length - 8, footer.length, true);
  file.set(bytes.subarray(-4), file.length - 4);
  return file;
};

test("readRows() reads mutated Parquet or refuses it", async () => {
  const names = [
    ...["texts_snappy", "tokens_gzip", "questions_zstd", "types_plain", "encodings_brotli"],
    ...["dictionary_lz4", "bomb", "nested_v1", "nested_v2", "nested_v1", "nested_v2"],
  ];
  const corpus = await Promise.all(
    names.map((name) => readFile(new URL(`../golden/data/${name}.parquet`, import.meta.url))),
  );
  await fuzz("parquet", (bytes) => readAll("parquet", bytes), {
    corpus: corpus.map((bytes) => new Uint8Array(bytes)),
    mutate: mutateParquet,
    errors,
    timeLimit: 10_000,
  });
});
