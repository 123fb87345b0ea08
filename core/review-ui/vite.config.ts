import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/**
 * Leave out what OpenLayers has for others and no picture of ours can reach: tiles are in the pixels of their picture and never
 * reprojected, and styles are made by functions, so that nothing reads a style written as JSON.
 */
function unused(): Plugin {
  const absent: Record<string, string> = {
    "/reproj/Tile.js": "export default class ReprojTile {}",
    "/reproj/Image.js": "export default class ReprojImage {}",
    "/render/canvas/style.js": "export const flatStyleLikeToStyleFunction = () => { throw new Error(); };",
  };
  return {
    name: "unused-of-ol",
    enforce: "pre",
    apply: "build",
    resolveId(id, from) {
      const name = from?.includes("/node_modules/ol/") && Object.keys(absent).find((end) => id.endsWith(end));
      return name ? `\0unused${name}` : null;
    },
    load: (id) => (id.startsWith("\0unused") ? absent[id.slice("\0unused".length)] : null),
  };
}

export default defineConfig({
  plugins: [unused(), svelte()],
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
