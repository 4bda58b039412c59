// The state of the cell, asked for every second: readiness, sources, queue,
// recording. What is wrong becomes a list of warnings.

import { call, type Queue, type Ready, type Recording, type Source } from "./api";
import { live } from "./live.svelte";
import { clock, count } from "./words";
import { ofClocks, ofQueue, ofReadiness, ofSource, type Warning } from "./warnings";

const every = 1000;
/** Points of the queue's history: ten minutes. */
const history = 600;

/** For how long dropped samples are spoken of, s. */
const dropsShown = 10;
/** A clock that was not synchronised for so long is spoken of, s; one that has just come up is not. */
const clockPatience = 5;

class Cell {
  ready = $state.raw<Ready | null>(null);
  sources = $state.raw<Source[]>([]);
  queue = $state.raw<Queue | null>(null);
  recording = $state.raw<Recording | null>(null);
  error = $state("");
  /** One row a second: time, depth by priority, rate, p99 in ms. */
  past = $state.raw<{ at: number; depth: Record<string, number>; rate: number; p99: number }[]>([]);
  /** Samples dropped of late: when, of which source, how many. */
  drops = $state.raw<{ at: number; source: string; samples: number }[]>([]);
  private droppedBefore = new Map<string, number>();
  private unsynced = new Map<string, number>();

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
    this.follow(sources.sources, Date.now() / 1000);
    const row = { at: Date.now() / 1000, depth: queue.by_priority, rate: queue.processed_per_second, p99: queue.latency.p99 * 1000 };
    this.past = [...this.past.slice(1 - history), row];
  }

  /** follow notes what only two looks together show: drops, and clocks that stay unsynchronised. */
  private follow(list: Source[], now: number): void {
    const drops = this.drops.filter((d) => now - d.at < dropsShown);
    const unsynced = new Map<string, number>();
    for (const s of list) {
      const dropped = s.stats.samples_dropped + (s.losses?.kernel_drops ?? 0);
      const before = this.droppedBefore.get(s.name) ?? dropped;
      if (dropped > before) drops.push({ at: now, source: s.name, samples: dropped - before });
      this.droppedBefore.set(s.name, dropped);
      for (const p of s.details?.providers ?? []) {
        if (!p.clock.synced) unsynced.set(p.key, this.unsynced.get(p.key) ?? now);
      }
    }
    this.drops = drops;
    this.unsynced = unsynced;
  }

  warnings(): Warning[] {
    const out: Warning[] = [];
    if (live.lostSince !== null && !live.connected) {
      out.push({ id: "stream", bad: true, what: `No connection to dynotap since ${clock(live.lostSince)}. Values are not live.`, mend: "It connects again by itself; see whether dynotap runs and this device is on its network." });
    } else if (this.error) {
      out.push({ id: "api", bad: true, what: this.error, mend: "" });
    }
    if (this.ready) out.push(...ofReadiness(this.ready));
    for (const s of this.sources) out.push(...ofSource(s), ...ofClocks(s, this.unsyncedOf(s)));
    if (this.queue) out.push(...ofQueue(this.queue));
    if (this.drops.length > 0) {
      const of = [...new Set(this.drops.map((d) => d.source))].join(" and ");
      const n = this.drops.reduce((sum, d) => sum + d.samples, 0);
      out.push({ id: "drops", bad: true, what: `${count(n)} samples of ${of} were dropped in the last ${dropsShown} s.`, mend: "Queue and Sources say where; end other programs on this machine, or record on a quicker disk." });
    }
    return out;
  }

  /** unsyncedOf names the providers that are heard and whose clock has not been synchronised for a while. */
  private unsyncedOf(s: Source): string[] {
    const now = Date.now() / 1000;
    return (s.details?.providers ?? [])
      .filter((p) => live.clock() - Date.parse(p.last_seen) / 1000 < clockPatience && now - (this.unsynced.get(p.key) ?? now) >= clockPatience)
      .map((p) => p.key);
  }
}

export const cell = new Cell();
