import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The content policy of the server allows no inline script or style, so
// nothing is inlined.
export default defineConfig({
  plugins: [svelte()],
  publicDir: false,
  build: {
    outDir: "dist/app",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
