// The real program, in a directory and on ports of its own.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const binary = resolve(import.meta.dirname, "../../bin/dynotap");
export const limit = 20_000;

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** until waits for a condition, at most the limit. */
export async function until(what, condition, patience = limit) {
  const end = Date.now() + patience;
  for (;;) {
    const got = await condition();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not within ${patience} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

/** freeNetwork gives the flags of a JETDRIVE network of its own, on loopback. */
export async function freeNetwork() {
  const port = await freePort();
  return ["--group", `239.255.77.${1 + (port % 250)}`, "--port", String(port), "--interface", "127.0.0.1"];
}

/** Process is dynotap with some arguments, from its start to its end. */
export class Process {
  constructor(args, { within = [], ...options } = {}) {
    this.said = "";
    const [program, ...all] = [...within, binary, ...args];
    this.child = spawn(program, all, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.ended = new Promise((done) => this.child.once("exit", done));
    for (const out of [this.child.stdout, this.child.stderr]) out.on("data", (text) => (this.said += text));
  }

  async stop(signal = "SIGINT") {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    await this.ended;
  }
}

/**
 * Program is dynotap run. Its options may be changed between two starts:
 * demo, whether it simulates a cell; config, the configuration; args, flags;
 * data, the data directory; within, the command that runs it; listen and env.
 */
export class Program {
  constructor(port, options = {}) {
    this.port = port;
    this.options = { demo: true, args: [], env: {}, listen: `127.0.0.1:${port}`, ...options };
    this.dir = mkdtempSync(join(tmpdir(), "dynotap-e2e-"));
    this.data = options.data ?? join(this.dir, "data");
    this.url = `http://127.0.0.1:${port}/`;
  }

  async start() {
    const { demo, config, args, env, listen, within } = this.options;
    const all = ["run", "--data", this.data, "--listen", listen, ...(demo ? ["--demo"] : []), ...args];
    if (config) {
      const file = join(this.dir, "config.json");
      writeFileSync(file, JSON.stringify(config));
      all.push("--config", file);
    }
    this.process = new Process(all, { within, cwd: this.dir, env: { ...process.env, ...env } });
    const alive = () => fetch(`${this.url}healthz`).then((a) => a.ok, () => false);
    await until("the program answers", alive).catch((e) => {
      throw new Error(`${e.message}\n${this.process.said}`);
    });
  }

  async stop(signal) {
    await this.process.stop(signal);
  }

  async get(path) {
    return (await fetch(this.url + "api/v1/" + path)).json();
  }

  async end() {
    await this.process?.stop("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}
