// Deleting with a way back: what is deleted is hidden at once and deleted for
// good when the time for undoing is over, or the page is left.

import { call } from "./api";

const patience = 8000;

interface Pending {
  ids: string[];
  name: string;
  all: boolean;
  timer: ReturnType<typeof setTimeout>;
}

class Undo {
  pending = $state.raw<Pending[]>([]);
  error = $state("");

  constructor() {
    addEventListener("pagehide", () => this.pending.forEach((p) => void this.end(p, true)));
  }

  deletes(id: string): boolean {
    return this.pending.some((p) => p.ids.includes(id));
  }

  /** remove deletes the first run, and with all every other one of its session or file, which ids has too. */
  remove(ids: string[], name: string, all = false): void {
    const p: Pending = { ids, name, all, timer: setTimeout(() => void this.end(p, false), patience) };
    this.pending = [...this.pending, p];
  }

  back(p: Pending): void {
    clearTimeout(p.timer);
    this.pending = this.pending.filter((q) => q !== p);
  }

  private async end(p: Pending, leaving: boolean): Promise<void> {
    clearTimeout(p.timer);
    try {
      await call(`/api/v1/runs/${encodeURIComponent(p.ids[0] ?? "")}?all=${p.all}`, { method: "DELETE", keepalive: leaving });
      this.error = "";
    } catch (e) {
      this.error = `${p.name} was not deleted: ${(e as Error).message}`;
    }
    this.back(p);
  }
}

export const undo = new Undo();
