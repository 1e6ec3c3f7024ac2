import process from "node:process";

/** Gives the CPU seconds that this process has taken since, whatever else keeps the machine busy. */
export function cpuClock(): () => number {
  const start = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };
}
