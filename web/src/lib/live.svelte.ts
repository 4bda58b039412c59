// The live stream: the newest value of every channel, two minutes of history
// of each in rings of fixed size, and the pull in progress.

import { call } from "./api";
import { recorded, type Past } from "./history";
import { Pull } from "./pull";
import type { Range } from "./range";

export interface Channel {
  ref: number;
  source: string;
  key: string;
  address: string;
  provider: string;
  label: string;
  name: string;
  unit: string;
  native_unit: string;
  /** What validation holds it against, in unit. */
  range?: Range;
}

export interface Latest {
  value: number | null;
  quality: string;
  /** Age at arrival by the server's clock, s. */
  age: number;
  /** performance.now() at arrival. */
  arrived: number;
  /** Of the channel: the server's time of this sample in s, how many it has had, and their usual distance in s. */
  time: number;
  samples: number;
  every: number;
}

interface Window {
  channels?: Channel[];
  now_us: number;
  values: { ref: number; time_us: number; value: number | null; quality: string; samples: number }[];
}

/** The longest time that charts show, s. */
const longestSpan = 120;
/** Points that a ring holds: that time of 50 ms windows. */
const ringSize = 2400;
/** A gap in a chart is longer than this, s. */
const gap = 1;
/** The longest distance between two samples that counts as usual, s. */
const longest = 2;
/** How often what is shown may change, ms. */
const window = 50;

export class Ring {
  readonly time = new Float64Array(ringSize);
  readonly value = new Float64Array(ringSize);
  private next = 0;
  private length = 0;

  push(time: number, value: number): void {
    this.time[this.next] = time;
    this.value[this.next] = value;
    this.next = (this.next + 1) % ringSize;
    if (this.length < ringSize) this.length++;
  }

  /** fill puts points in between that did not come by the stream. */
  fill(times: number[], values: (number | null)[]): void {
    const points = new Map(times.map((t, i): [number, number] => [t, values[i] ?? NaN]));
    for (let i = 0; i < this.length; i++) {
      const at = (this.next - this.length + i + ringSize) % ringSize;
      points.set(this.time[at]!, this.value[at]!);
    }
    this.next = this.length = 0;
    for (const [t, v] of [...points].sort((a, b) => a[0] - b[0]).slice(-ringSize)) this.push(t, v);
  }

  /** since gives the points no older than from, in order of arrival. */
  since(from: number): [number[], (number | null)[]] {
    const times: number[] = [];
    const values: (number | null)[] = [];
    let last = -Infinity;
    for (let i = 0; i < this.length; i++) {
      const at = (this.next - this.length + i + ringSize) % ringSize;
      const t = this.time[at]!;
      if (t < from || t <= last) continue;
      if (t - last > gap && last > 0) {
        times.push(last + 1e-3); // a gap is shown as one
        values.push(null);
      }
      last = t;
      const v = this.value[at]!;
      times.push(t);
      values.push(Number.isNaN(v) ? null : v);
    }
    return [times, values];
  }
}

function latest(v: Window["values"][number], now: number, arrived: number, before: Latest | undefined): Latest {
  const time = v.time_us / 1e6;
  let every = before?.every ?? 0;
  if (before && v.samples > before.samples) {
    const distance = Math.min(longest, Math.abs(time - before.time) / (v.samples - before.samples));
    every = every === 0 ? distance : 0.9 * every + 0.1 * distance;
  }
  return { value: v.value, quality: v.quality, age: (now - v.time_us) / 1e6, arrived, time, samples: v.samples, every };
}

/** staleAfter is the age in s at which a value is stale: grey is seen within a second of the last sample, of slow channels after three distances. */
export function staleAfter(v: Latest): number {
  return Math.max(0.8, 3 * v.every);
}

/** before gives the newest value at a time, in s; null where there is none within the second before. */
function before([times, values]: Past, at: number): number | null {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && times[low - 1]! > at - gap ? values[low - 1]! : null;
}

export function id(c: Channel): string {
  return `${c.source}/${c.key}`;
}

class Live {
  /** Moves on with each redraw; what reads it is drawn again. */
  tick = $state(0);
  /** Moves on when the list of channels changes. */
  listed = $state(0);
  connected = $state(false);
  lostSince = $state<number | null>(null);
  /** The server's clock of the newest window, s since the epoch. */
  now = 0;
  readonly pull = new Pull();

  private channels = new Map<string, Channel>();
  private byRef: (Channel | undefined)[] = [];
  private latest = new Map<string, Latest>();
  private rings = new Map<string, Ring>();
  private primary: { rpm?: string; power?: string; torque?: string } = {};
  private start = "";
  private source: EventSource | null = null;
  private arrived = 0;
  /** The newest sample of all, s since the epoch. */
  private newest = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Channels whose past is shown, and whether it is to be asked for. */
  private shown = new Map<string, boolean>();
  private asking = false;
  private drawing = 0;

  /** open connects and stays connected until close. */
  open(): void {
    if (this.source) return;
    const source = new EventSource("/api/v1/live");
    this.source = source;
    source.addEventListener("window", (e) => this.take(e as MessageEvent<string>));
    source.onopen = () => {
      this.connected = true;
      for (const key of this.shown.keys()) this.shown.set(key, true); // what came meanwhile
      this.lostSince = null;
    };
    source.onerror = () => {
      this.lost();
      if (source.readyState !== EventSource.CLOSED) return; // the browser goes on trying
      this.source = null;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.again(), 1000);
    };
    this.drawing ||= globalThis.window.setInterval(() => this.tick++, window);
  }

  /** again connects after a refusal: a call asks for the token where that is why. */
  private async again(): Promise<void> {
    try {
      await call("/api/v1/recordings");
      this.open();
    } catch {
      this.timer = setTimeout(() => void this.again(), 1000);
    }
  }

  private lost(): void {
    this.connected = false;
    this.lostSince ??= Date.now();
  }

  private take(e: MessageEvent<string>): void {
    const w = JSON.parse(e.data) as Window;
    const start = e.lastEventId.split(".")[0] ?? "";
    if (start !== this.start) {
      this.newest = 0;
      this.start = start; // another start of the program: its numbers are others
      this.byRef = [];
    }
    if (w.channels) this.learn(w.channels);
    this.now = w.now_us / 1e6;
    this.arrived = performance.now();
    for (const v of w.values) {
      this.newest = Math.max(this.newest, v.time_us / 1e6);
      const c = this.byRef[v.ref];
      if (!c) continue;
      const key = id(c);
      this.latest.set(key, latest(v, w.now_us, this.arrived, this.latest.get(key)));
      let ring = this.rings.get(key);
      if (!ring) this.rings.set(key, (ring = new Ring()));
      ring.push(v.time_us / 1e6, v.value ?? NaN);
    }
    this.followPull();
    void this.recall();
  }

  /** shows says that a chart shows a channel: its past is asked for. */
  shows(key: string): void {
    if (!this.shown.has(key)) this.shown.set(key, true);
  }

  /** recall asks for the past of the channels that are shown: the stream has only the present. */
  private async recall(): Promise<void> {
    const list = [...this.shown].flatMap(([key, due]) => (due ? this.channels.get(key) ?? [] : []));
    if (this.asking || list.length === 0) return;
    this.asking = true;
    for (const c of list) this.shown.set(id(c), false);
    try {
      const pasts = await recorded(list, this.clock() - longestSpan);
      pasts.forEach(([times, values], i) => this.rings.get(id(list[i]!))?.fill(times, values));
      if (list.some((c) => id(c) === this.primary.rpm)) this.replayPull();
    } catch {
      // Charts begin with the present then.
    }
    this.asking = false;
  }

  private learn(list: Channel[]): void {
    for (const c of list) {
      this.byRef[c.ref] = c;
      this.channels.set(id(c), c);
    }
    const all = this.all();
    const power = all.find((c) => c.name === "horsepower");
    const beside = (name: string) => all.find((c) => c.name === name && c.provider === power?.provider) ?? all.find((c) => c.name === name);
    const of = (c: Channel | undefined) => (c ? id(c) : undefined);
    this.primary = { rpm: of(beside("rpm")), power: of(power), torque: of(beside("torque")) };
    for (const key of Object.values(this.primary)) if (key) this.shows(key);
    this.listed++;
  }

  /** replayPull follows the pull anew through all that is known. */
  private replayPull(): void {
    const all = (key: string | undefined) => (key ? this.rings.get(key)?.since(0) : undefined) ?? [[], []];
    const [times, speeds] = all(this.primary.rpm);
    const power = all(this.primary.power);
    const torque = all(this.primary.torque);
    this.pull.clear();
    let from = 0;
    times.forEach((t, i) => {
      const rpm = speeds[i];
      const hp = before(power, t);
      if (rpm === null || rpm === undefined || hp === null) return;
      while (times[from]! < t - 0.5) from++;
      const was = speeds[from];
      this.pull.take(rpm, hp, before(torque, t), () => i - from > 4 && was !== null && was !== undefined && rpm > was + 60);
    });
  }

  private followPull(): void {
    const at = (key: string | undefined) => (key ? this.latest.get(key) : undefined);
    const rpm = at(this.primary.rpm);
    const power = at(this.primary.power);
    if (!rpm || !power || rpm.arrived !== this.arrived || rpm.value === null || power.value === null) return;
    const speed = rpm.value;
    this.pull.take(speed, power.value, at(this.primary.torque)?.value ?? null, () => this.rising(speed));
  }

  /** rising reports whether the engine has gained speed over the last half second. */
  private rising(rpm: number): boolean {
    const ring = this.rings.get(this.primary.rpm!);
    const [, values] = ring?.since(this.now - 0.5) ?? [[], []];
    const was = values[0];
    return values.length > 4 && was !== null && was !== undefined && rpm > was + 60;
  }

  all(): Channel[] {
    return [...this.channels.values()];
  }

  channel(key: string): Channel | undefined {
    return this.channels.get(key);
  }

  value(key: string): Latest | undefined {
    return this.latest.get(key);
  }

  ring(key: string): Ring | undefined {
    return this.rings.get(key);
  }

  /** age of a value at this moment, s. */
  age(v: Latest): number {
    return Math.max(0, v.age) + (performance.now() - v.arrived) / 1000;
  }

  /** flowing reports whether any channel has a value that is not older than two seconds. */
  flowing(): boolean {
    return this.newest > this.clock() - 2;
  }

  /** clock is the server's, s since the epoch, going on between windows. */
  clock(): number {
    if (this.now === 0) return Date.now() / 1000; // it has said nothing yet
    return this.now + (performance.now() - this.arrived) / 1000;
  }
}

export const live = new Live();

const mixtures = ["afr", "afr_front", "afr_rear"];

/** usualGauges chooses for a user who has not chosen. */
export function usualGauges(all: Channel[]): string[] {
  const first = (name: string) => {
    const of = all.filter((c) => c.name === name);
    const beside = all.find((c) => c.name === "horsepower")?.provider;
    if (mixtures.includes(name)) return of.find((c) => c.source === "innovate") ?? of[0];
    return of.find((c) => c.provider === beside) ?? of[0];
  };
  return ["rpm", "horsepower", "torque", "speed", ...mixtures, "map", "tps", "ect", "iat", "ambient_temp"].flatMap((name) => {
    const c = first(name);
    return c ? [id(c)] : [];
  });
}

export function usualStrips(all: Channel[]): string[] {
  const usual = usualGauges(all);
  const of = (name: string) => usual.find((key) => all.find((c) => id(c) === key)?.name === name);
  return ["rpm", "horsepower", "afr_front", "afr"].flatMap((name) => of(name) ?? []).slice(0, 3);
}
