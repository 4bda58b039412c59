// The system of units in force: this browser's choice, else the configuration's.

import { call, type Setting } from "./api";
import { prefs } from "./prefs.svelte";
import type { System } from "./units";

class Units {
  configured = $state<System>("us");

  get system(): System {
    return prefs.units || this.configured;
  }

  async load(): Promise<void> {
    const config = await call<{ settings: Setting[] }>("/api/v1/config");
    if (config.settings.find((s) => s.path === "display.units")?.value === "metric") this.configured = "metric";
  }
}

export const units = new Units();
