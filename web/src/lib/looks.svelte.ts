// Dark or light: what the user chose, else what the system wants.

import { prefs } from "./prefs.svelte";

class Looks {
  private system = $state(matchMedia("(prefers-color-scheme: dark)").matches);
  readonly dark = $derived(prefs.theme === "auto" ? this.system : prefs.theme === "dark");

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (e) => (this.system = e.matches));
  }
}

export const looks = new Looks();
