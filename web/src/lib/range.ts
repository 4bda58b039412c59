// The ranges of validation: outside min to max a value is bad, outside
// warn_min to warn_max it is worth a look. A missing bound is none.

export interface Range {
  min?: number;
  max?: number;
  warn_min?: number;
  warn_max?: number;
}

/** outside says in a word where a value lies, "" where it lies within. */
export function outside(r: Range | undefined, value: number | null): string {
  if (!r || value === null) return "";
  if (value < (r.min ?? -Infinity)) return "too low";
  if (value > (r.max ?? Infinity)) return "too high";
  if (value < (r.warn_min ?? -Infinity)) return "low";
  if (value > (r.warn_max ?? Infinity)) return "high";
  return "";
}

/** Part of a bar's length at each end that stands for what is beyond the range. */
const beyond = 0.04;

export interface Bar {
  /** Where the warnings end and the good part begins, and the other way round, 0 to 1. */
  low: number;
  high: number;
  /** Where what is bad ends and begins. */
  least: number;
  most: number;
  /** Where the value lies; null: there is none. */
  at: number | null;
}

/** bar lays a range out over 0 to 1; null where it has no end on one side. */
export function bar(r: Range | undefined, value: number | null): Bar | null {
  const from = r?.min ?? r?.warn_min;
  const to = r?.max ?? r?.warn_max;
  if (from === undefined || to === undefined || to <= from) return null;
  const place = (v: number) => Math.min(1, Math.max(0, beyond + ((v - from) / (to - from)) * (1 - 2 * beyond)));
  return {
    least: place(from),
    most: place(to),
    low: place(Math.max(from, r?.warn_min ?? from)),
    high: place(Math.min(to, r?.warn_max ?? to)),
    at: value === null ? null : place(value),
  };
}
