import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { entitiesOf, entityScores } from "../../../src/tasks/metrics/mod.ts";
import { reference } from "./golden.ts";

const words = (text: string) => text.split(" ");

test("entitiesOf() and entityScores() equal seqeval, ill-formed tags included", () => {
  for (const { tags, predictions, entities, ...expected } of reference.tags) {
    const found = tags.map((row) => entitiesOf(row).map(({ type, start, end }) => [type, start, end]));
    assert.deepEqual(found, entities);
    const scores = entityScores(tags, predictions);
    for (const key of ["precision", "recall", "f1"] as const) {
      // Few operations on numbers of at most one.
      assert.ok(Math.abs(scores[key] - expected[key]) <= 1e-15, `${key} ${scores[key]}, ${expected[key]}`);
    }
  }
});

test("entitiesOf() reads BIO, IOB and IOBES tags", () => {
  const per = (start: number, end: number) => ({ type: "PER", start, end });
  assert.deepEqual(entitiesOf(words("O B-PER I-PER O B-PER B-PER")), [per(1, 3), per(4, 5), per(5, 6)]);
  assert.deepEqual(entitiesOf(words("I-PER I-PER O I-PER B-PER")), [per(0, 2), per(3, 4), per(4, 5)]);
  assert.deepEqual(entitiesOf(words("S-PER B-PER I-PER E-PER S-PER")), [per(0, 1), per(1, 4), per(4, 5)]);
  assert.deepEqual(entitiesOf([]), []);
});

test("entitiesOf() makes of ill-formed tags what conlleval makes of them", () => {
  const entity = (type: string, start: number, end: number) => ({ type, start, end });
  // A change of type begins an entity; so does I after O, and after an entity's end.
  assert.deepEqual(entitiesOf(words("B-A I-B I-B O I-A")), [
    entity("A", 0, 1),
    entity("B", 1, 3),
    entity("A", 4, 5),
  ]);
  assert.deepEqual(entitiesOf(words("E-A I-A")), [entity("A", 0, 1), entity("A", 1, 2)]);
  assert.deepEqual(entitiesOf(words("B I O B-a-b")), [entity("_", 0, 2), entity("a-b", 3, 4)]);
});

test("entityScores() counts an entity when type and both ends are right", () => {
  const given = [words("B-A I-A O B-B"), words("O B-B")];
  // The first is too short, the second right, the third of another type.
  const told = [words("B-A O O B-B"), words("O B-A")];
  assert.deepEqual(entityScores(given, told), { f1: 1 / 3, precision: 1 / 3, recall: 1 / 3 });
  assert.deepEqual(entityScores([words("O O")], [words("O O")]), { f1: 0, precision: 0, recall: 0 });
  // Ends of texts end entities, and the same place in another text is another place.
  assert.deepEqual(entityScores([["B-A"], ["I-A"]], [["B-A"], ["O"]]), {
    f1: 2 / 3,
    precision: 1,
    recall: 0.5,
  });
});

test("entityScores() equals seqeval on BILOU tags, and where an entity ends that none began", () => {
  // seqeval 1.2.2, default mode: precision_score, recall_score, f1_score.
  const given = [words("B-PER I-PER L-PER"), words("U-PER O"), words("O U-LOC")];
  const told = [words("B-PER I-PER L-PER"), words("O U-PER"), words("O U-LOC")];
  assert.deepEqual(entityScores(given, told), { f1: 2 / 3, precision: 2 / 3, recall: 2 / 3 });
  // A lone L begins nothing, so what it ends is taken to begin where the entity before did, in the text before here.
  const odd = [words("L-PER O"), words("L L-PER")];
  assert.deepEqual(entityScores(odd, [words("L-PER B-PER"), words("L L-PER")]), {
    f1: 1 / 3,
    precision: 1 / 3,
    recall: 1 / 3,
  });
});

test("entityScores() is bounded, blind to the order of texts, and swaps precision and recall with its arguments", () => {
  const tag = fc.constantFrom("O", "B-A", "I-A", "B-B", "I-B", "E-A", "S-B", "I");
  const texts = fc.array(fc.array(fc.tuple(tag, tag), { maxLength: 8 }), { maxLength: 6 });
  fc.assert(fc.property(texts, (pairs) => {
    const side = (k: 0 | 1, list = pairs) => list.map((row) => row.map((pair) => pair[k]));
    const found = entityScores(side(0), side(1));
    for (const score of Object.values(found)) assert.ok(score >= 0 && score <= 1);
    const reversed = pairs.toReversed();
    assert.deepEqual(entityScores(side(0, reversed), side(1, reversed)), found);
    assert.deepEqual(entityScores(side(1), side(0)), {
      f1: found.f1,
      precision: found.recall,
      recall: found.precision,
    });
  }));
});

test("entityScores() refuses texts of another length, and empty tags", () => {
  assert.throws(() => entityScores([["O"], ["O", "O"]], [["O"], ["O"]]), {
    name: "TypeError",
    message: /text 1: .* got 1 and 2/,
  });
  assert.throws(() => entityScores([["O"]], []), { name: "TypeError", message: /got 0 and 1/ });
  assert.throws(() => entityScores([], [["O"]]), { name: "TypeError", message: /got 1 and 0/ });
  assert.throws(() => entitiesOf(["O", ""]), { name: "RangeError", message: /tag 1/ });
});
