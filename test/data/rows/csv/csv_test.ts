import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readExamples, readRows, type ReadRowsOptions } from "../../../../src/data/mod.ts";
import { temporaryFiles } from "../../../support/temporary_files.ts";
import { cpuClock } from "../../../support/cpu_clock.ts";

async function pathOf(name: string, content: string | Uint8Array): Promise<string> {
  return (await (await temporaryFiles({ [name]: content })).path(name))!;
}

async function read(content: string | Uint8Array, options: ReadRowsOptions = {}, name = "d.csv") {
  const notices: string[] = [];
  const path = await pathOf(name, content);
  const onNotice = (notice: string) => notices.push(notice.replace(path, name));
  const { rows } = await readRows(path, { onNotice, ...options });
  return { rows, notices };
}

async function refuses(content: string | Uint8Array, message: string, options: ReadRowsOptions = {}) {
  const path = await pathOf("d.csv", content);
  await assert.rejects(readRows(path, options), { message: message.replace("d.csv", path) });
}

test("readRows() reads quotation marks as pandas does", async () => {
  // Of pandas 2's read_csv(…, dtype=str, keep_default_na=False).
  const values: [string, string[]][] = [
    ['a 5" pipe,x', ['a 5" pipe', "x"]],
    ['"abc"def,x', ["abcdef", "x"]],
    ['"abc"d"ef,x', ['abcd"ef', "x"]],
    ['a ""b"" c,x', ['a ""b"" c', "x"]],
    ['"a ""b"" c",x', ['a "b" c', "x"]],
    [' x , "y"', [" x ", ' "y"']],
    ['"x\r\ny",2', ["x\r\ny", "2"]],
    ['"",2', ["", "2"]],
    ['"a","c"', ["a", "c"]],
  ];
  for (const [line, [a, b]] of values) {
    for (const end of ["", "\n", "\r\n"]) {
      assert.deepEqual((await read(`a,b\n${line}${end}`)).rows, [{ a, b }], line);
    }
  }
  assert.deepEqual((await read("a,b\r1,2\r\n3,4\n   \n5,6")).rows.map(({ a }) => a), ["1", "3", "5"]);
});

test("readRows() refuses a quotation that takes lines in and doesn't end as one", async () => {
  await refuses(
    'a,b\n1,2\n" pipe,x\n"foo",y\n',
    "Cannot read line 3 of d.csv: a value begins with a quotation mark and doesn't end with one; if quotation marks " +
      "are part of the text in this file, set quotes to false",
  );
  assert.deepEqual((await read('a,b\n" pipe,x\n"foo",y\n', { quotes: false })).rows, [
    { a: '" pipe', b: "x" },
    { a: '"foo"', b: "y" },
  ]);
});

test("readRows() says where a quotation takes in what looks like rows", async () => {
  const { rows, notices } = await read('a,b\n1,2\n" pipe,x\nfoo,y\n5",z\n"one\ntwo, three\n",y\n');
  assert.equal(rows.length, 3);
  assert.deepEqual(notices, [
    "d.csv: a value at line 3 spans lines that look like rows; if quotation marks are part of the text in this file, set " +
    "quotes to false",
  ]);
});

test("readRows() takes a line of names for one, also where they are stated", async () => {
  const header = ["", "text", "label"];
  for (const content of ["id,text,label\n1,a,x\n", "1,a,x\n"]) {
    assert.deepEqual((await read(content, { header })).rows, [{ text: "a", label: "x" }]);
  }
});

test("readRows() gives the same records, wherever a piece of the file ends", async () => {
  // Pieces are of 64 KiB; quotation marks, line ends and delimiters fall on every side of the cut.
  const tail = 'x,"a ""b"""\r\n"c\r\nd",e""f\r\n,\r\n';
  for (let fill = 65_536 - tail.length; fill <= 65_536; fill++) {
    const { rows } = await read(`a,b\n${"y".repeat(fill - 6)},\n${tail}`);
    assert.deepEqual(rows.slice(1), [
      { a: "x", b: 'a "b"' },
      { a: "c\r\nd", b: 'e""f' },
      { a: "", b: "" },
    ]);
  }
});

test("readRows() finds the delimiter and says it", async () => {
  for (
    const [delimiter, name] of [[";", "semicolons"], ["\t", "tabs"], ["|", "vertical bars"]] as const
  ) {
    const found = await read(`text,label\nGut, "aber" teuer,neg\n`.replaceAll(/,(?! )/g, delimiter));
    assert.deepEqual(found.rows, [{ text: 'Gut, "aber" teuer', label: "neg" }]);
    assert.deepEqual(found.notices, [
      `d.csv: values are separated by ${name}, not commas; set delimiter if that is wrong`,
    ]);
  }
  const commas = await read("text,label\na,b\n", {}, "d.tsv");
  assert.deepEqual(commas.rows, [{ text: "a", label: "b" }]);
  assert.match(commas.notices[0]!, /^d\.tsv: values are separated by commas, not tabs/);
});

test("readRows() finds the delimiter by columns, by even records, and outside of quotation marks", async () => {
  const first = async (content: string, options?: ReadRowsOptions) => (await read(content, options)).rows[0];
  assert.deepEqual(await first("a;b,text;label\n1;2;3\n", { columns: ["text"] }), {});
  assert.deepEqual(await first("a;b,text;label\n1;2;3\n", { columns: ["label"] }), { label: "3" });
  assert.deepEqual(await first("betrag, netto;text\n1,5;ja\n2;nein\n"), {
    "betrag, netto": "1,5",
    text: "ja",
  });
  assert.deepEqual(await first('"a;b;c","d"\n1,2\n'), { "a;b;c": "1", d: "2" });
  assert.deepEqual(await first("a;b\n", { header: ["x", "y"] }), { x: "a", y: "b" });
  assert.deepEqual(await first("text\na;b\n"), { text: "a;b" });
  assert.deepEqual(await first("a,b\n1;2,3\n", { delimiter: "," }), { a: "1;2", b: "3" });
  assert.deepEqual(await first("a~b\n1~2\n", { delimiter: "~" }), { a: "1", b: "2" });
  for (const delimiter of ["", ",,", '"', "\n"]) {
    await refuses(
      "a,b\n",
      `Cannot read d.csv: delimiter must be one character, got ${JSON.stringify(delimiter)}`,
      {
        delimiter,
      },
    );
  }
});

test("readRows() passes over columns without a name, and counts what was in them", async () => {
  const { rows, notices } = await read("v1,v2,, ,\nham,x,,,\nspam,y,q,,r\n");
  assert.deepEqual(rows, [{ v1: "ham", v2: "x" }, { v1: "spam", v2: "y" }]);
  assert.deepEqual(notices, [
    "d.csv: 2 values in columns without a name were ignored, the first at line 3",
  ]);
  assert.deepEqual((await read(",text\n0,a\n")).rows, [{ text: "a" }]);
});

test("readRows() takes short records, and long ones that lose nothing", async () => {
  assert.deepEqual((await read("a,b\n1\n2,3,,\n")).rows, [{ a: "1", b: null }, { a: "2", b: "3" }]);
  await refuses(
    "a;b\n1;2\n1;2;;3\n",
    'Cannot read line 3 of d.csv: expected 2 values, got 4; a value that contains ";" must be in quotation marks',
  );
  await refuses("a,b,a\n1,2,3\n", 'Cannot read d.csv: two columns are named "a"');
  assert.deepEqual((await read("a,b,a\n1,2,3\n", { columns: ["b"] })).rows, [{ b: "2" }]);
});

test("readRows() reads 100,000 columns in a moment", async () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `column_${i}`);
  const row = names.map((_, i) => i).join(",");
  const seconds = cpuClock();
  const { rows } = await read(`${names.join(",")}\n${`${row}\n`.repeat(3)}`, { columns: ["column_99999"] });
  assert.deepEqual(rows, Array.from({ length: 3 }, () => ({ column_99999: "99999" })));
  assert.ok(seconds() < 10);
});

test("readRows() knows encodings by their name and by byte order marks", async () => {
  const latin = Buffer.from("text,label\nWin \xa31000 caf\xe9,spam\n", "latin1");
  for (const encoding of ["windows-1252", "latin1", "latin-1", "cp1252", "ISO-8859-1"]) {
    assert.deepEqual((await read(latin, { encoding })).rows, [{ text: "Win £1000 café", label: "spam" }]);
  }
  const text = "text,label\nü😀,x\n";
  const little = Buffer.from(`\ufeff${text}`, "utf16le");
  const big = Buffer.from(little).swap16();
  for (const bytes of [little, big, Buffer.from(`\ufeff${text}`)]) {
    assert.deepEqual((await read(bytes)).rows, [{ text: "ü😀", label: "x" }]);
  }
  assert.deepEqual((await read(Buffer.from(text, "utf16le"), { encoding: "utf-16" })).rows.length, 1);
  await refuses(
    Buffer.from(text, "utf16le"),
    'Cannot read d.csv: it looks like UTF-16 without a byte order mark; set encoding to "utf-16le", or save it as UTF-8',
  );
  await refuses(
    text,
    'Cannot read d.csv: encoding: expected the name of an encoding, such as "utf-8" or "windows-1252", got "windows-1522"; ' +
      'did you mean "windows-1252"?',
    { encoding: "windows-1522" },
  );
});

test("readRows() says what a file is that isn't text", async () => {
  const [gzip, zip] = [[0x1f, 0x8b, 8, 0], [0x50, 0x4b, 3, 4, 20]];
  await refuses(Uint8Array.from(gzip), "Cannot read d.csv as text: it is compressed by gzip; unpack it");
  await refuses(
    Uint8Array.from(zip),
    "Cannot read d.csv as text: it is a ZIP archive or an Excel workbook; unpack it, or save it as CSV",
  );
  await refuses("PAR1 and more", "Cannot read d.csv as text: it is a Parquet file");
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
  await refuses(
    pointer,
    "Cannot read d.csv as text: it is a pointer of Git LFS; run git lfs pull in its folder",
  );
  await refuses(pointer, "Cannot read d.csv: it is a pointer of Git LFS; run git lfs pull in its folder", {
    format: "parquet",
  });
  assert.deepEqual((await read("PK\nP\n")).rows, [{ PK: "P" }]);
});

test("readRows() names line and byte of what isn't in the encoding, as Python's decoder does", async () => {
  const advice =
    'set encoding to that of the file, such as "windows-1252" (Excel in Western Europe), or save it as UTF-8';
  // Python: 'utf-8' codec can't decode byte 0xe9 in position 16.
  await refuses(
    Buffer.from("text,label\nb,caf\xe9 x\n", "latin1"),
    `Cannot read line 2 of d.csv: 0xe9 at byte offset 16 isn't UTF-8; ${advice}`,
  );
  await refuses(
    Buffer.concat([Buffer.from("a\n\n"), Buffer.from([0xe2, 0x82])]),
    `Cannot read line 3 of d.csv: 0xe2 at byte offset 3 isn't UTF-8; ${advice}`,
  );
  await refuses(
    Buffer.from([0x80]),
    `Cannot read line 1 of d.csv: 0x80 at byte offset 0 isn't UTF-8; ${advice}`,
  );
  await refuses(
    Buffer.from([0x41, 0x0a, 0x80, 0x81, 0x0a]),
    `Cannot read line 2 of d.csv: 0x80 at byte offset 2 isn't UTF-8; ${advice}`,
  );
  // Pieces are of 64 KiB: on either side of their ends, after lines of characters that are cut there.
  const line = "é😀漢\n";
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 13_100, max: 13_120 }),
      fc.integer({ min: 0, max: 9 }),
      async (lines, rest) => {
        const before = Buffer.from(line.repeat(lines) + "x".repeat(rest));
        await refuses(
          Buffer.concat([before, Buffer.from([0xff]), Buffer.from(line)]),
          `Cannot read line ${
            lines + 1
          } of d.csv: 0xff at byte offset ${before.length} isn't UTF-8; ${advice}`,
        );
      },
    ),
    { numRuns: 20 },
  );
});

test("readExamples() reads the spam collection as it is passed around", async () => {
  // Header v1,v2,,, and Latin-1, as on Kaggle.
  const path = await pathOf(
    "spam.csv",
    Buffer.from('v1,v2,,,\nham,"Ok lar, see you",,,\nspam,Win \xa31000 now,,,\n', "latin1"),
  );
  const columns = { textColumn: "v2", labelColumn: "v1" };
  assert.deepEqual(await readExamples(path, "sequence-classification", { columns, encoding: "latin1" }), [
    { text: "Ok lar, see you", label: "ham" },
    { text: "Win £1000 now", label: "spam" },
  ]);
});

test("readRows() reads files that were joined, with their byte order marks and lines of names", async () => {
  const part = '\ufefftext,label\n"a, b",x\n';
  const { rows, notices } = await read(part + part + "c,label\n\ufeffd,\ufeffy\n" + part);
  assert.deepEqual(rows, [
    { text: "a, b", label: "x" },
    { text: "a, b", label: "x" },
    { text: "c", label: "label" },
    { text: "d", label: "\ufeffy" },
    { text: "a, b", label: "x" },
  ]);
  assert.deepEqual(notices, [
    "d.csv: lines that name the columns again were left out, first line 3 (2 in all)",
  ]);
  // A column alone may hold its own name.
  assert.deepEqual((await read("text\na\ntext\n")).rows, [{ text: "a" }, { text: "text" }]);
});

test("readRows() says where values go on after their quotation", async () => {
  // Values of pandas 2's read_csv.
  const { rows, notices } = await read('text\tlabel\n"To be" or not\tx\n"b"\ty\n"c"d\tz\n', {}, "d.tsv");
  assert.deepEqual(rows.map(({ text }) => text), ["To be or not", "b", "cd"]);
  assert.deepEqual(notices, [
    "d.tsv: values go on after their closing quotation mark, first at line 2 (2 in all), and lose their marks, as in pandas; " +
    "if quotation marks are part of the text in this file, set quotes to false",
  ]);
});

test("readRows() says where blanks make text of quotation marks", async () => {
  // Values of pandas 2's read_csv.
  const { rows, notices } = await read('text,label\nx, "a"\n"y", "b" \n z, "c" d\n');
  assert.deepEqual(rows.map(({ label }) => label), [' "a"', ' "b" ', ' "c" d']);
  assert.deepEqual(notices, [
    "d.csv: values have a blank before their quotation marks, first at line 2 (2 in all), and keep blank and marks, as in " +
    "pandas; leave no blanks after delimiters if quotation marks aren't part of the text",
  ]);
  assert.deepEqual((await read('a,b\nx, "a"\n', { quotes: false })).notices, []);
});

test("readRows() reads the delimiter that Excel states", async () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const { rows, notices } = await read(["sep=^", "a^b", "1,5^2", ""].join(end));
    assert.deepEqual([rows, notices], [[{ a: "1,5", b: "2" }], []]);
  }
  await refuses(
    "sep=;\na;b\n1;2;3\n",
    'Cannot read line 3 of d.csv: expected 2 values, got 3; the first line must name all columns, and a value that contains ";" ' +
      "must be in quotation marks",
  );
});

test("readExamples() says which column may be meant, or that there may be no line of names", async () => {
  const error = async (content: string, options = {}) => {
    const path = await pathOf("d.csv", content);
    return await readExamples(path, "sequence-classification", options).then(
      () => "",
      ({ message }: Error) => message.replace(path, "d.csv"),
    );
  };
  const cannot = "Cannot read line 2 of d.csv: column";
  assert.equal(
    await error("Text,Label\na,x\n"),
    `${cannot} text must be text, got nothing; the columns are Text, Label; did you mean "Text"?`,
  );
  assert.equal(
    await error("text, label\na,x\n"),
    `${cannot} label must be text or a number, got nothing; the columns are text,  label; did you mean " label"?`,
  );
  const wide = Array.from({ length: 1000 }, (_, i) => `c${i}`);
  assert.equal(
    await error(`text,${wide.join(",")},Label\na${",0".repeat(1000)},x\n`),
    `${cannot} label must be text or a number, got nothing; the columns are text, ${
      wide.slice(0, 19).join(", ")
    } ` +
      'and 982 more; did you mean "Label"?',
  );
  assert.equal(
    await error("great movie,positive\nbad movie,negative\n"),
    `${cannot} text must be text, got nothing; the columns are great movie, positive; name the columns by header if its ` +
      "first line is an example, or set delimiter if something else separates values",
  );
});
