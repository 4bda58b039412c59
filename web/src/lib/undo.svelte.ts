// Deleting with a way back: what is deleted is hidden at once and deleted for
// good when the time for undoing is over, or the page is left.

import { call } from "./api";

const patience = 8000;

interface Pending {
  id: string;
  name: string;
  timer: ReturnType<typeof setTimeout>;
}

class Undo {
  pending = $state.raw<Pending[]>([]);
  error = $state("");

  constructor() {
    addEventListener("pagehide", () => this.pending.forEach((p) => void this.end(p, true)));
  }

  deletes(id: string): boolean {
    return this.pending.some((p) => p.id === id);
  }

  remove(id: string, name: string): void {
    const p: Pending = { id, name, timer: setTimeout(() => void this.end(p, false), patience) };
    this.pending = [...this.pending, p];
  }

  back(p: Pending): void {
    clearTimeout(p.timer);
    this.pending = this.pending.filter((q) => q !== p);
  }

  private async end(p: Pending, leaving: boolean): Promise<void> {
    clearTimeout(p.timer);
    try {
      await call(`/api/v1/runs/${encodeURIComponent(p.id)}`, { method: "DELETE", keepalive: leaving });
      this.error = "";
    } catch (e) {
      this.error = `${p.name} was not deleted: ${(e as Error).message}`;
    }
    this.back(p);
  }
}

export const undo = new Undo();
