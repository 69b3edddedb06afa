/** A service that answers questions in a browser: Express with Prompt Ledger. */

import express, { type Express, type NextFunction, type Request, type Response } from "express";

import { LedgerError, NotFound, type PromptCache, type PromptLedger, type Updates } from "@prompt-ledger/client";

/** The texts of this service. They live in its code, and are registered when it starts. */
export const PROMPTS = {
  "chat.answer": "{{persona}}\n\nAnswer in one sentence: {{question}}",
};

/** The service. What the editors write in the ledger (`persona.NAME`, by the label `production`) is read from the cache. */
export function app(ledger: PromptLedger, cache: PromptCache): Express {
  const service = express();

  service.get("/personas/:name", (request, response) => {
    const persona = cache.get(`persona.${request.params.name}`, "production");
    response.set("x-stale", String(cache.staleSince !== undefined));
    response.json({ text: persona?.template ?? "" });
  });

  service.get("/answers", async (request, response) => {
    const { question, persona } = asked(request);
    // A visitor who leaves ends the call that is paid for.
    const leaving = new AbortController();
    response.on("close", () => {
      leaving.abort();
    });

    const template = cache.get(`persona.${persona}`, "production")?.template ?? "You are kind.";
    const variables = { persona: template, question };
    const updates = ledger.stream("chat.answer", variables, { signal: leaving.signal });
    try {
      await answer(response, updates);
    } catch (error) {
      if (!leaving.signal.aborted) {
        throw error;
      }
    }
  });

  service.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent || response.destroyed || !(error instanceof LedgerError)) {
      next(error);
      return;
    }
    const status = error instanceof NotFound ? 404 : 502;
    response.status(status).json({ error: error.reason || error.code, message: error.message });
  });
  return service;
}

/** Sends what is told as events. */
async function answer(response: Response, updates: Updates): Promise<void> {
  // The first update before the headers: what keeps it from beginning is a status of HTTP.
  let update = await updates.next();
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  while (update.done !== true) {
    const { value } = update;
    if (value.kind === "text") {
      send(response, "text", value.text);
    } else if (value.kind === "ended") {
      send(response, "end", { status: value.execution.status });
    }
    update = await updates.next();
  }
  response.end();
}

function asked(request: Request): { readonly question: string; readonly persona: string } {
  const { question, persona } = request.query;
  return {
    question: typeof question === "string" ? question : "",
    persona: typeof persona === "string" ? persona : "default",
  };
}

/** Sends an event to an `EventSource`. The data is JSON: it has no line ends. */
function send(response: Response, event: string, data: unknown): void {
  response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
