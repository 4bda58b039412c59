// Dark or light: what the user chose, else what the system wants; paper is
// light.

import { flushSync } from "svelte";
import { prefs } from "./prefs.svelte";

class Looks {
  private system = $state(matchMedia("(prefers-color-scheme: dark)").matches);
  private paper = $state(matchMedia("print").matches);
  readonly dark = $derived(!this.paper && (prefs.theme === "auto" ? this.system : prefs.theme === "dark"));

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (e) => (this.system = e.matches));
    // All is drawn anew before the printer looks.
    matchMedia("print").addEventListener("change", (e) => flushSync(() => (this.paper = e.matches)));
  }
}

export const looks = new Looks();
