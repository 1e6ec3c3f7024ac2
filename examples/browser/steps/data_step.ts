import { acceptDrops, filesOfInput } from "../common/chosen_files.ts";
import { byId, element, fillList, fillTable, unseen } from "../common/element.ts";
import { showProblem } from "../common/problem.ts";
import type { Remote } from "../common/remote.ts";
import { count, countOf } from "../common/words.ts";
import type { DataInfo, SharedCalls, TableInfo } from "../trainer/calls.ts";

/** Who is told of the data. */
export interface DataStepOptions {
  /** Called with data that can be trained on, and with undefined when there are none. */
  onData(data: DataInfo | undefined): void;
}

/** The part of the page in which data are chosen. */
export interface DataStep {
  /** Tells of the data again. */
  wake(): void;
  /** Forgets the data. */
  close(): void;
}

/** Usual names of the columns. */
const TEXTS = /^(text|sentence|utterance|message|content|question|review|body|title)$/i;
const LABELS = /^(label|class|category|intent|target|sentiment|topic|y)$/i;
/** Most classes that are listed one by one. */
const MOST_LISTED = 30;

/** The part of the page in which a table is read, and its columns are chosen. */
export function dataStep(trainer: Remote<SharedCalls>, { onData }: DataStepOptions): DataStep {
  const [text, label] = [byId<HTMLSelectElement>("text-column"), byId<HTMLSelectElement>("label-column")];
  let chosen: DataInfo | undefined;
  let notices: readonly string[] = [];

  const read = async (file: File | undefined) => {
    if (file === undefined) return;
    onData(chosen = undefined);
    byId("table").hidden = true;
    showProblem(byId("data-problem"), undefined);
    try {
      const table = await trainer.call("readTable", file);
      notices = table.notices;
      showTable(file.name, table);
      const guess = (names: RegExp, otherwise: number) =>
        table.columns.find((name) => names.test(name)) ?? table.columns.at(otherwise)!;
      for (const select of [text, label]) {
        select.replaceChildren(...table.columns.map((name) => element("option", { value: name }, name)));
      }
      [text.value, label.value] = [guess(TEXTS, 0), guess(LABELS, -1)];
      await choose();
    } catch (error) {
      showProblem(byId("data-problem"), error);
    }
  };
  const choose = async () => {
    onData(chosen = undefined);
    showProblem(byId("columns-problem"), undefined);
    byId("classes").hidden = true;
    fillList(byId("data-notices"), notices);
    try {
      chosen = await trainer.call("chooseColumns", { text: text.value, label: label.value });
      fillList(byId("data-notices"), [...notices, ...chosen.notices]);
      showClasses(chosen);
      onData(chosen);
    } catch (error) {
      showProblem(byId("columns-problem"), error);
    }
  };

  const input = byId<HTMLInputElement>("data-file");
  input.addEventListener("change", () => {
    const [first] = filesOfInput(input);
    void read(first?.file);
    input.value = "";
  });
  acceptDrops(byId("data-drop"), (files) => void files.then(([first]) => read(first?.file)));
  for (const select of [text, label]) select.addEventListener("change", () => void choose());
  return {
    wake: () => onData(chosen),
    close() {
      byId("table").hidden = true;
      showProblem(byId("data-problem"), undefined);
      onData(chosen = undefined);
    },
  };
}

function showTable(name: string, { columns, numRows, preview }: TableInfo): void {
  byId("table-summary").textContent = `${name}: ${countOf(numRows, "row")}, ${
    countOf(columns.length, "column")
  }. The first ${preview.length === 1 ? "is" : `${preview.length} are`}:`;
  fillTable(byId<HTMLTableElement>("preview"), { caption: "First rows", columns, rows: preview });
  byId("table").hidden = false;
}

function showClasses({ classes, numTrain, numTest }: DataInfo): void {
  const most = Math.max(...classes.map((each) => each.count));
  const listed = classes.slice(0, MOST_LISTED);
  const rows = listed.map(({ label, count: times }) => [
    label,
    element("meter", { max: most, value: times, "aria-label": `Rows of ${label}` }),
    count(times),
  ]);
  const rest = classes.length - listed.length;
  fillTable(byId<HTMLTableElement>("class-counts"), {
    caption: "Classes and their rows",
    columns: ["Class", unseen("Bar"), "Rows"],
    rows: rest === 0 ? rows : [...rows, [`and ${rest} more`, "", ""]],
    figures: [2],
  });
  byId("split").textContent =
    `${countOf(numTrain, "text")} to train on. A fifth of each class, ${
      countOf(numTest, "text")
    } in all, is held out: ` +
    "the model never trains on it and is scored by it.";
  byId("classes").hidden = false;
}
