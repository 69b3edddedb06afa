/** Sends the current trace context, where the API of OpenTelemetry is installed. */

import { createRequire } from "node:module";

import type * as OpenTelemetry from "@opentelemetry/api";

const api = installed();

function installed(): typeof OpenTelemetry | undefined {
  try {
    return createRequire(import.meta.url)("@opentelemetry/api") as typeof OpenTelemetry;
  } catch {
    return undefined;
  }
}

/** Adds what the global propagator makes of the current context; nothing where there is none. */
export function injectTrace(headers: Headers): void {
  api?.propagation.inject(api.context.active(), headers, SETTER);
}

const SETTER: OpenTelemetry.TextMapSetter<Headers> = {
  set: (headers, name, value) => {
    headers.set(name, value);
  },
};
