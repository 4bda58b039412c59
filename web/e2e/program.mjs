// The real program with the demo's sources, in a directory and on a port of
// its own.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
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

export class Program {
  constructor(port, args = [], env = {}) {
    this.port = port;
    this.args = args;
    this.env = env;
    this.dir = mkdtempSync(join(tmpdir(), "dynotap-e2e-"));
    this.url = `http://127.0.0.1:${port}/`;
    this.said = "";
  }

  async start() {
    const args = ["run", "--demo", "--data", join(this.dir, "data"), ...(this.args.length ? this.args : ["--listen", `127.0.0.1:${this.port}`])];
    this.child = spawn(binary, args, { cwd: this.dir, env: { ...process.env, ...this.env }, stdio: ["ignore", "pipe", "pipe"] });
    const child = this.child;
    this.ended = new Promise((done) => child.once("exit", done));
    for (const out of [child.stdout, child.stderr]) out.on("data", (text) => (this.said += text));
    const alive = () => fetch(`http://127.0.0.1:${this.port}/healthz`).then((a) => a.ok, () => false);
    await until(`the program answers\n${this.said}`, alive);
  }

  async stop(signal = "SIGINT") {
    this.child.kill(signal);
    await this.ended;
  }

  async get(path) {
    return (await fetch(this.url + "api/v1/" + path)).json();
  }

  async end() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.stop("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}
