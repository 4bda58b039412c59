// Units as they are shown. The server sends canonical units (US); factors are
// those of the program's own table.

export type System = "us" | "metric";

interface Shown {
  unit: string;
  scale: number;
  offset: number;
}

const metric: Record<string, Shown> = {
  hp: { unit: "kW", scale: 0.74569987158227, offset: 0 },
  "ft·lb": { unit: "N·m", scale: 1.3558179483314, offset: 0 },
  "°F": { unit: "°C", scale: 5 / 9, offset: -160 / 9 },
  mph: { unit: "km/h", scale: 1.609344, offset: 0 },
  lbf: { unit: "N", scale: 4.4482216152605, offset: 0 },
  inHg: { unit: "kPa", scale: 3.386388640341, offset: 0 },
  psi: { unit: "kPa", scale: 6.8947572931684, offset: 0 },
  ft: { unit: "m", scale: 0.3048, offset: 0 },
  "mph/s": { unit: "(km/h)/s", scale: 1.609344, offset: 0 },
};

export function shown(unit: string, system: System): Shown {
  return (system === "metric" && metric[unit]) || { unit, scale: 1, offset: 0 };
}

/** convert gives a value in the shown unit; what is missing stays missing. */
export function convert(value: number | null | undefined, unit: string, system: System): number | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  const s = shown(unit, system);
  return value * s.scale + s.offset;
}

/** digits after the point that a gauge shows, by unit. */
export function digits(unit: string): number {
  switch (unit) {
    case "rpm":
    case "lbf":
    case "N":
      return 0;
    case "AFR":
    case "inHg":
    case "V":
      return 2;
    case "lambda":
    case "g":
      return 3;
    default:
      return 1;
  }
}

export function text(value: number | null, unit: string): string {
  return value === null ? "–" : value.toFixed(digits(unit)).replace(/^-(?=[0.]+$)/, ""); // no -0.0
}
