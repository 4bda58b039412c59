// What this browser remembers: theme, units, gauges, charts.

import type { System } from "./units";

export type Theme = "auto" | "dark" | "light";

export interface Prefs {
  theme: Theme;
  /** Empty: those of the configuration. */
  units: System | "";
  /** Keys of channels, "source/key", in order; empty: chosen for the user. */
  gauges: string[];
  strips: string[];
  /** Seconds that the strip charts show. */
  span: number;
}

const kept = "dynotap.prefs";
const first: Prefs = { theme: "auto", units: "", gauges: [], strips: [], span: 30 };

function load(): Prefs {
  try {
    return { ...first, ...JSON.parse(localStorage.getItem(kept) ?? "{}") };
  } catch {
    return { ...first }; // damaged or forbidden: begin anew
  }
}

export const prefs = $state<Prefs>(load());

export function save(): void {
  try {
    localStorage.setItem(kept, JSON.stringify(prefs));
  } catch {
    // a browser that keeps nothing still shows everything
  }
}
