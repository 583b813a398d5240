/**
 * How the page is built, tested and served while it is being written.
 * `npm run build` writes `dist/`, which `tailrace.http.site` serves; nothing here runs in production.
 */
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { tsconfigPaths: true },
  build: { target: "es2023", chunkSizeWarningLimit: 700, reportCompressedSize: true },
  server: {
    port: 5173,
    proxy: { "/api": process.env.TAILRACE_URL ?? "http://localhost:8787" },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    testTimeout: 60_000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
