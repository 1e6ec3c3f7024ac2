const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A whole number, with its thousands set apart. */
export function count(value: number): string {
  return whole.format(value);
}

/** So many of something. */
export function countOf(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A number of bytes. */
export function bytes(value: number): string {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${short.format(value / 1000 ** power)} ${units[power]}`;
}

/** A share as percent. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** A span of time, in words that suit its length. */
export function duration(seconds: number): string {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `about ${countOf(Math.round(seconds), "second")}`;
  if (seconds < 90 * 60) return `about ${countOf(Math.round(seconds / 60), "minute")}`;
  return `about ${short.format(seconds / 3600)} hours`;
}

/** A span of time in figures. */
export function seconds(value: number): string {
  return value < 100 ? `${short.format(value)} s` : `${short.format(value / 60)} min`;
}

/** A loss, in nats. */
export function loss(value: number): string {
  return value.toFixed(3);
}
