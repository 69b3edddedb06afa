/**
 * Starts the service: `node server.ts`. The ledger is that of the environment, or `prompt-ledger dev` on this machine; `PORT` is
 * 3000 unless it is set.
 */

import type { AddressInfo } from "node:net";

import { connect } from "@prompt-ledger/client";

import { app, PROMPTS } from "./app.ts";

const ledger = connect();
await ledger.registerCodePrompts(PROMPTS, { createdBy: "chat-service" });
const cache = await ledger.promptCache({ namePrefix: "persona.", file: process.env["CACHE_FILE"] }).ready();

const server = app(ledger, cache).listen(Number(process.env["PORT"] ?? 3000), () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`http://localhost:${String(port)}\n`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close(() => {
      void cache.close().then(() => ledger.close());
    });
  });
}
