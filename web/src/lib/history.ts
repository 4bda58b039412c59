// What was recorded before the page was opened, or while it was not connected:
// charts begin with it.

import { call, type Run, type Series } from "./api";

/** A channel as the live stream names it. */
export interface Wanted {
  source: string;
  key: string;
  unit: string;
}

/** Times in s since the epoch, ascending, and their values. */
export type Past = [number[], (number | null)[]];

/** recorded gives what the session that runs has of each channel from a time in s since the epoch on; nothing of those it has not. */
export async function recorded(list: Wanted[], from: number): Promise<Past[]> {
  const session = (await call<{ runs: Run[] }>("/api/v1/runs?kind=session&limit=1")).runs[0];
  if (!session || session.ended_at !== null) return [];
  return Promise.all(list.map((c) => past(session, c, from).catch((): Past => [[], []])));
}

async function past(session: Run, c: Wanted, from: number): Promise<Past> {
  // A session of several sources names the source before the key.
  const key = session.source === c.source ? c.key : `${c.source}:${c.key}`;
  const query = `from_us=${Math.round(from * 1e6)}&points=2400&channel=${encodeURIComponent(key)}`;
  const { series } = await call<{ series: Series[] }>(`/api/v1/runs/${encodeURIComponent(session.id)}/samples?${query}`);
  const one = series.find((s) => s.channel.unit === c.unit);
  return one ? [one.time_us.map((t) => t / 1e6), one.value] : [[], []];
}
