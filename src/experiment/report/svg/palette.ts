/** Paul Tol's "muted" colours, which people with any colour vision tell apart, then lighter ones of the same hues. */
export const palette: readonly string[] = [
  "#332288",
  "#cc6677",
  "#ddcc77",
  "#117733",
  "#88ccee",
  "#882255",
  "#44aa99",
  "#999933",
  "#aa4499",
  "#7d72b3",
  "#e6b3bb",
  "#f0e8c0",
  "#74ae88",
  "#c6e6f7",
  "#b87d9a",
  "#a5d5cd",
  "#c9c98f",
  "#d0a0c8",
];

/** What stands for all others. */
export const restColor = "#bbbbbb";
