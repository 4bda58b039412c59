// Numbers and times as people read them.

export function count(n: number): string {
  return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function words(id: string): string {
  return id.replaceAll("_", " ");
}

/** Canonical names that are not read as they are written. */
const written: Record<string, string> = { rpm: "engine speed", rpm_drum: "drum speed", horsepower: "power" };
const initials = /^(afr|map|tps|iat|ect|ve)(?= |$)/;

/** channelName is a channel's canonical name as people write it, else the name that its device gave it. */
export function channelName(c: { name: string; label: string }): string {
  if (!c.name) return words(c.label);
  return written[c.name] ?? words(c.name).replace(initials, (s) => s.toUpperCase());
}

export function age(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

export function clock(time: string | number | null | undefined): string {
  return time ? ofDay(new Date(time)) : "–";
}

export function moment(time: string | null): string {
  if (!time) return "no date";
  const t = new Date(time);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${ofDay(t)}`;
}

const two = (n: number) => n.toString().padStart(2, "0");
const ofDay = (t: Date) => `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;

/** runDate is when a run began; a file that names no time goes by when it was imported. */
export function runDate(r: { started_at: string | null; created_at: string }): string {
  return r.started_at ? moment(r.started_at) : `imported ${moment(r.created_at)}`;
}

/** stopwatch is as wide after ten seconds as after nine. */
export function stopwatch(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const h = Math.floor(s / 3600);
  return `${h ? `${h}:` : ""}${h ? two(Math.floor(s / 60) % 60) : Math.floor(s / 60)}:${two(s % 60)}`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
