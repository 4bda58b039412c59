// The HTTP API as the dashboard uses it. Every failure becomes a Problem whose
// message says what is wrong and how to mend it.

export class Problem extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

type Ask = () => void;
let askForToken: Ask = () => {};

/** onTokenNeeded hears when the server wants a token that we do not have. */
export function onTokenNeeded(ask: Ask): void {
  askForToken = ask;
}

const kept = "dynotap.token";

/** signIn trades the token for the cookie; false: it is not the right one. */
export async function signIn(token: string): Promise<boolean> {
  const answer = await fetch("/api/v1/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) return false;
  sessionStorage.setItem(kept, token);
  return true;
}

/** renew tries the token of this tab again: the cookie ends with the server. */
async function renew(): Promise<boolean> {
  const token = sessionStorage.getItem(kept);
  if (token && (await signIn(token).catch(() => false))) return true;
  sessionStorage.removeItem(kept);
  askForToken();
  return false;
}

const patience = 15_000;

export interface Request {
  method?: string;
  body?: unknown;
  /** Status codes whose body is an answer all the same. */
  also?: number[];
  timeout?: number;
  keepalive?: boolean;
}

async function send(path: string, r: Request): Promise<Response> {
  try {
    return await fetch(path, {
      method: r.method ?? "GET",
      headers: r.body === undefined ? {} : { "Content-Type": "application/json" },
      body: r.body === undefined ? undefined : JSON.stringify(r.body),
      signal: AbortSignal.timeout(r.timeout ?? patience),
      keepalive: r.keepalive ?? false,
    });
  } catch {
    throw new Problem(0, "dynotap does not answer. Is it running, and is this device on its network?");
  }
}

export async function call<T>(path: string, r: Request = {}): Promise<T> {
  let answer = await send(path, r);
  if (answer.status === 401 && (await renew())) answer = await send(path, r);
  if (!answer.ok && !r.also?.includes(answer.status)) throw await problemOf(answer);
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

async function problemOf(answer: Response): Promise<Problem> {
  const body = await answer.json().catch(() => null);
  return new Problem(answer.status, body?.detail ?? body?.title ?? answer.statusText);
}

export interface Ready {
  ready: boolean;
  reasons: string[];
  notes: string[];
}

export interface ChannelHealth {
  key: string;
  channel: string;
  state: string;
  since: string;
  last_seen: string | null;
  rate_hz: number;
  slow: boolean;
}

export interface Clock {
  offset_ms: number;
  latency_ms: number;
  synced: boolean;
  source: string;
}

export interface Provider {
  host_id: string;
  name: string;
  key: string;
  address: string;
  rate_hz: number;
  loss_percent: number;
  clock: Clock;
  last_seen: string;
  lost: number;
  reordered: number;
  duplicate: number;
}

export interface Sensor {
  number: number;
  kind: string;
  state: string;
  afr: number | null;
  lambda: number | null;
  warmup_percent: number | null;
  heater_countdown: number | null;
  error_code: number | null;
}

export interface Source {
  name: string;
  enabled: boolean;
  absent?: boolean;
  health: {
    healthy: boolean;
    state: string;
    since: string;
    conditions: { code: string; text: string; since: string }[];
    reasons: string[];
    circuit_state: string;
    consecutive_errors: number;
    last_data_at: string | null;
    last_error: string;
    channel_counts: Record<string, number>;
    channels: ChannelHealth[] | null;
  };
  stats: {
    samples_received: number;
    samples_processed: number;
    samples_failed: number;
    samples_dropped: number;
    avg_latency_ms: number;
    samples_per_second: number;
    reconnects: number;
    uptime_sec: number;
  };
  losses?: Record<string, number>;
  details?: { transmitting?: boolean; providers?: Provider[]; sensors?: Sensor[]; hints?: string[]; device?: string; port?: { name: string } | null };
}

export interface Queue {
  running: boolean;
  durability: string;
  when_full: string;
  waiting: number;
  max_size: number;
  current_size: number;
  high_watermark: number;
  by_priority: Record<string, number>;
  dead_letters: number;
  total_dropped: number;
  total_retried: number;
  dropped: { source: string; reason: string; items: number; samples: number }[] | null;
  processed_per_second: number;
  latency: { p50: number; p99: number; max: number };
  oldest_age_seconds: number;
}

export interface LetterSample {
  time: string | null;
  channel: string;
  provider: string;
  label: string;
  name: string;
  value: number | null;
  unit: string;
  native_value: number | null;
  native_unit: string;
  quality: string;
}

export interface Letter {
  id: string;
  source: string;
  priority: string;
  samples: number;
  bytes: number;
  attempts: number;
  reason: string;
  first_error: string;
  last_error: string;
  enqueued_at: string | null;
  died_at: string | null;
  contents?: { total: number; samples: LetterSample[]; error?: string; head?: string };
}

export interface RunChannel {
  key: string;
  device: string;
  label: string;
  name: string;
  unit: string;
  samples: number;
  good: number;
  suspect: number;
  bad: number;
  min: number | null;
  max: number | null;
}

export interface Summary {
  peak_hp: number | null;
  hp_peak_rpm: number | null;
  peak_torque: number | null;
  torque_peak_rpm: number | null;
  duration_ms: number | null;
  sample_count: number;
  rejected: number;
  suspect: number;
  bad: number;
  channels: RunChannel[] | null;
}

export interface Run {
  id: string;
  capture: string;
  kind: string;
  source: string;
  name: string;
  notes: string;
  tags: string[];
  started_at: string | null;
  ended_at: string | null;
  created_at: string;
  summary: Summary | null;
}

export interface Series {
  channel: { key: string; device: string; label: string; name: string; unit: string };
  time_us: number[];
  value: (number | null)[];
}

export interface Finding {
  check: string;
  severity: string;
  found: string;
  mend: string;
}

export interface Setting {
  path: string;
  value: unknown;
  origin: string;
  doc: string;
}

export interface Recording {
  name: string;
  started_at: string;
}
