// Series with times of their own, brought onto one axis for a chart.

import type { Series } from "./api";

type Column = (number | null)[];
type Part = Pick<Series, "time_us" | "value">;

/** joined lays series over the seconds since the first sample of all. */
export function joined(list: Part[]): [number[], ...Column[]] {
  const times = [...new Set(list.flatMap((s) => s.time_us))].sort((a, b) => a - b);
  const first = times[0] ?? 0;
  const at = new Map(times.map((t, i) => [t, i]));
  const columns = list.map((s) => {
    const column: Column = new Array<number | null>(times.length).fill(null);
    s.time_us.forEach((t, i) => (column[at.get(t)!] = s.value[i] ?? null));
    return column;
  });
  return [times.map((t) => (t - first) / 1e6), ...columns];
}

/** byRPM lays series over the engine speed at each sample's time. */
export function byRPM(list: Part[], rpm: Part): [number[], ...Column[]] {
  const rows: { x: number; column: number; y: number | null }[] = [];
  list.forEach((s, column) => {
    s.time_us.forEach((t, i) => {
      const x = at(rpm, t);
      if (x !== null) rows.push({ x, column, y: s.value[i] ?? null });
    });
  });
  rows.sort((a, b) => a.x - b.x);
  const columns = list.map(() => new Array<number | null>(rows.length).fill(null));
  rows.forEach((r, i) => (columns[r.column]![i] = r.y));
  return [rows.map((r) => r.x), ...columns];
}

/** nearest gives the place of the sample next to a place on the axis, where a column has none there; null before its first and after its last. */
export function nearest(axis: ArrayLike<number>, column: ArrayLike<number | null | undefined>, place: number): number | null {
  let before = place;
  let after = place;
  while (before >= 0 && column[before] == null) before--;
  while (after < column.length && column[after] == null) after++;
  if (before < 0 || after >= column.length) return null;
  return axis[place]! - axis[before]! <= axis[after]! - axis[place]! ? before : after;
}

/** at reads a series between its samples, and nowhere beyond them. */
export function at(s: Part, time: number): number | null {
  let low = 0;
  let high = s.time_us.length - 1;
  if (high < 0 || time < s.time_us[0]! || time > s.time_us[high]!) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (s.time_us[middle]! <= time) low = middle;
    else high = middle;
  }
  const [a, b] = [s.value[low] ?? null, s.value[high] ?? null];
  if (a === null || b === null) return null;
  const [ta, tb] = [s.time_us[low]!, s.time_us[high]!];
  return tb === ta ? a : a + ((b - a) * (time - ta)) / (tb - ta);
}
