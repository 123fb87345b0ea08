import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte()],
  base: "/",
  build: {
    outDir: "../src/hyla/review/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false }, // its script would be inline, which the content security policy forbids
    assetsInlineLimit: 0,
    license: { fileName: "licenses.md" },
  },
  test: { include: ["src/**/*.test.ts"] },
});
