// What is wrong, in words: a sentence for what, one for what to do. A warning's
// id stays while the same thing is wrong, so that it is said once.

import type { Queue, Ready, Source } from "./api";
import { clock, count, words } from "./words";

export interface Warning {
  id: string;
  bad: boolean;
  what: string;
  mend: string;
}

/** Shares of the queue at which it is worth a word, and bad. */
const filling = 0.5;
const nearlyFull = 0.8;

const busyDisk = "The disk does not keep up: end other programs that write to it, or record on a quicker disk with --data. Imports wait by themselves.";
const looks: Record<string, string> = {
  jetdrive: "See whether the dyno is switched on and its network cable is in; Examine on the page Sources looks for the cause.",
  innovate: "See whether the wideband is switched on and its cable is in; Examine on the page Sources looks for the cause.",
};

export function ofSource(s: Source): Warning[] {
  if (!s.enabled || s.absent || s.health.healthy) return [];
  const h = s.health;
  const warn = (what: string, mend: string): Warning[] => [{ id: "source:" + s.name, bad: true, what: `Source ${s.name} ${what}`, mend }];
  const look = looks[s.name] ?? "Examine on the page Sources looks for the cause.";
  const why = h.last_error ? ": " + h.last_error : ".";
  if (h.circuit_state === "open") return warn(`is shut off, it failed too often${why}`, "Mend the cause, then Reset on the page Sources.");
  if (h.state === "disconnected") return warn("is disconnected.", "Start it on the page Sources.");
  if (h.state !== "connected") return warn(`is not connected (${words(h.state)})${why}`, "It is tried again by itself. " + look);
  const codes = h.conditions.map((c) => c.code);
  if (codes.includes("no_data")) return warn(h.last_data_at ? `has sent nothing since ${clock(h.last_data_at)}.` : "has sent nothing yet.", look);
  return warn(`does not work: ${h.reasons.join("; ")}${why}`, look);
}

/** ofClocks warns of providers that are heard and whose clock is not synchronised. */
export function ofClocks(s: Source, names: string[]): Warning[] {
  if (names.length === 0) return [];
  const several = names.length > 1;
  return [{
    id: "clock:" + s.name,
    bad: false,
    what: `The ${several ? "clocks" : "clock"} of ${names.join(" and ")} ${several ? "are" : "is"} not synchronised: times go by the arrival of packets.`,
    mend: s.details?.transmitting === false
      ? "dynotap only listens: set jetdrive.transmit to true and start it again, so that it may ask for the time."
      : "It does not answer when it is asked for the time: see whether this machine's firewall lets dynotap send to the dyno's network.",
  }];
}

export function ofQueue(q: Queue): Warning[] {
  const out: Warning[] = [];
  if (q.max_size > 0 && q.current_size >= q.max_size * filling) {
    out.push({ id: "queue", bad: q.current_size >= q.max_size * nearlyFull, what: `The queue is ${Math.floor((100 * q.current_size) / q.max_size)} % full.`, mend: busyDisk });
  }
  if (q.dead_letters > 0) {
    out.push({ id: "dead", bad: false, what: `${count(q.dead_letters)} dead letters: batches that could not be stored.`, mend: "The page Queue shows why, and retries them." });
  }
  return out;
}

export function ofReadiness(r: Ready): Warning[] {
  const notes = r.notes.filter((n) => !/^source \S+ (is not connected|has found no device)/.test(n)); // ofSource says that
  const all = [
    ...r.reasons.map((text) => of(text, true, "Samples are not accepted: ")),
    ...notes.map((text) => of(text, false, "")),
  ];
  return all.filter((w, i) => all.findIndex((o) => o.id === w.id) === i); // the same but for its figures
}

/** of splits the server's sentence where it says what to do, or says it. */
function of(text: string, bad: boolean, before: string): Warning {
  const id = "ready:" + text.replace(/[\d.,\u202f]+/g, "#");
  const [, what, mend] = /^(the disk of .*?): (make room.*)$/.exec(text) ?? [];
  return { id, bad, what: sentence(before + (what ?? text)), mend: mend ? sentence(mend) : remedy(text) };
}

function remedy(text: string): string {
  if (/queue FULL|disk SLOW|does not take batches/.test(text)) return busyDisk;
  if (text.startsWith("network NOT READ")) return "This machine is too busy: end other programs on it.";
  const [, setting] = /\((queue\.\w+) is false\)/.exec(text) ?? [];
  return setting ? `Set ${setting} to true in the configuration and start dynotap again.` : "";
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
