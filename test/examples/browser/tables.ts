/** Texts of the words that the tiny checkpoint knows, of two classes that differ in their words. */
const spam = ["win a free prize", "a free prize number", "win free 9 8 7", "free number free", "who win 5"];
const ham = ["minutes of meeting", "ada lives in paris", "meeting in london", "where lives paul ?", "of ada"];

/** A CSV file of so many rows of each class. */
export function spamCsv(rowsOfEach: number): string {
  const rows = Array.from({ length: rowsOfEach }, (_, i) => [
    `${spam[i % spam.length]} ${i % 10},spam`,
    `${ham[i % ham.length]} ${i % 10},ham`,
  ]).flat();
  return ["text,label", ...rows, ""].join("\n");
}
