// The state of the cell, asked for every second: readiness, sources, queue,
// recording. What is wrong becomes a list of warnings.

import { call, type Queue, type Ready, type Recording, type Source } from "./api";
import { live } from "./live.svelte";
import { age, count, words } from "./words";

const every = 1000;
/** Points of the queue's history: ten minutes. */
const history = 600;

export interface Warning {
  id: string;
  bad: boolean;
  what: string;
  mend: string;
}

class Cell {
  ready = $state.raw<Ready | null>(null);
  sources = $state.raw<Source[]>([]);
  queue = $state.raw<Queue | null>(null);
  recording = $state.raw<Recording | null>(null);
  error = $state("");
  /** One row a second: time, depth by priority, rate, p99 in ms. */
  past = $state.raw<{ at: number; depth: Record<string, number>; rate: number; p99: number }[]>([]);
  droppedBefore: number | null = null;
  dropping = $state(0);

  start(): void {
    void this.look();
  }

  private async look(): Promise<void> {
    if (!document.hidden) {
      try {
        await this.refresh();
        this.error = "";
      } catch (e) {
        this.error = (e as Error).message;
      }
    }
    setTimeout(() => void this.look(), every);
  }

  async refresh(): Promise<void> {
    const [ready, sources, queue, recording] = await Promise.all([
      call<Ready>("/readyz", { also: [503] }),
      call<{ sources: Source[] }>("/api/v1/sources"),
      call<Queue>("/api/v1/queue"),
      call<{ recording: Recording | null }>("/api/v1/recordings"),
    ]);
    this.ready = ready;
    this.sources = sources.sources;
    this.queue = queue;
    this.recording = recording.recording;
    const dropped = sources.sources.reduce((n, s) => n + s.stats.samples_dropped + (s.losses?.kernel_drops ?? 0), 0);
    this.dropping = this.droppedBefore === null ? 0 : Math.max(0, dropped - this.droppedBefore);
    this.droppedBefore = dropped;
    const row = { at: Date.now() / 1000, depth: queue.by_priority, rate: queue.processed_per_second, p99: queue.latency.p99 * 1000 };
    this.past = [...this.past.slice(1 - history), row];
  }

  warnings(): Warning[] {
    const out: Warning[] = [];
    if (live.lostSince !== null && !live.connected) {
      const since = age((Date.now() - live.lostSince) / 1000);
      out.push({ id: "stream", bad: true, what: `No connection to dynotap for ${since}. Values are not live.`, mend: "It connects again by itself; see whether dynotap runs and this device is on its network." });
    } else if (this.error) {
      out.push({ id: "api", bad: true, what: this.error, mend: "" });
    }
    for (const reason of this.ready?.reasons ?? []) {
      out.push({ id: "ready:" + reason, bad: true, what: "Samples are not accepted: " + reason, mend: "Settings and dynotap doctor show what to change." });
    }
    for (const s of this.sources) out.push(...ofSource(s));
    const q = this.queue;
    if (q && q.max_size > 0 && q.current_size >= q.max_size * 0.5) {
      out.push({ id: "queue", bad: q.current_size >= q.max_size * 0.8, what: `The queue is ${Math.round((100 * q.current_size) / q.max_size)} % full.`, mend: "The disk does not keep up: end other programs that write to it. Imports wait by themselves." });
    }
    if (q && q.dead_letters > 0) {
      out.push({ id: "dead", bad: false, what: `${count(q.dead_letters)} dead letters: batches that could not be stored.`, mend: "Queue shows why; retry them there." });
    }
    if (this.dropping > 0) {
      out.push({ id: "drops", bad: true, what: `${count(this.dropping)} samples were dropped in the last second.`, mend: "Sources and Queue say where." });
    }
    for (const note of this.ready?.notes ?? []) out.push({ id: "note:" + note, bad: false, what: sentence(note), mend: "" });
    return out;
  }
}

function ofSource(s: Source): Warning[] {
  const out: Warning[] = [];
  if (!s.enabled || s.absent) return out;
  if (!s.health.healthy) {
    const why = s.health.last_error || s.health.reasons.join("; ");
    const mend = s.health.state === "circuit_open" ? "Mend the cause, then Reset on the page Sources." : s.health.state === "disconnected" ? "Start it on the page Sources." : "It is tried again by itself; Examine on the page Sources looks for the cause.";
    out.push({ id: "source:" + s.name, bad: true, what: `Source ${s.name} is ${words(s.health.state)}${why ? ": " + why : "."}`, mend });
  }
  for (const p of s.details?.providers ?? []) {
    if (p.clock.source === "synchronised" && !p.clock.synced) {
      out.push({ id: "clock:" + p.key, bad: false, what: `The clock of ${p.name} is not synchronised.`, mend: "Times go by arrival meanwhile; see whether it answers on the network." });
    }
  }
  return out;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

export const cell = new Cell();
