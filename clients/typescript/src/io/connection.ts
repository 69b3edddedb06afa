/** The connection to a server: made with the first call, and again when it breaks. */

import type {
  ClientHttp2Stream,
  ClientSessionRequestOptions,
  OutgoingHttpHeaders,
  SecureClientSessionOptions,
} from "node:http2";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions, Http2SessionManager } from "@connectrpc/connect-node";

import type { Target } from "../options/target.ts";
import { VERSION } from "../version.ts";
import { injectTrace } from "./trace.ts";

/** HTTP/2 window of a stream, in bytes: what a reader leaves unread beyond it stays in the server, which thereby notices. */
const STREAM_WINDOW = 64 * 1_024;
/** An execution encodes to less than 3 MiB, a page or a change of a prompt to less still. */
const LARGEST_ANSWER = 8 * 1_024 * 1_024;
/** Milliseconds: how often to ask for a sign of life while calls are open, how long to wait for it, and for a connection. */
const PING_INTERVAL = 20_000;
const PING_TIMEOUT = 10_000;
const CONNECT_TIMEOUT = 10_000;

/** No connection came about, so nothing was sent. */
export class NotConnected extends Error {
  override readonly name = "NotConnected";
}

/** A connection, and Connect's transport over it. */
export interface Connection {
  readonly transport: Transport;
  /** Ends all calls with an error. */
  close(reason: Error): void;
}

export function connection(target: Target, interceptors: readonly Interceptor[]): Connection {
  const sessions = new Sessions(target);
  const transport = createGrpcTransport({
    baseUrl: target.url,
    sessionManager: sessions,
    // The key is set innermost, on headers of its own: no other interceptor sees it.
    interceptors: [...interceptors, carrying(target.headers)],
    readMaxBytes: LARGEST_ANSWER,
    acceptCompression: [],
  });
  return {
    transport,
    close: (reason) => {
      sessions.abort(reason);
    },
  };
}

/** Adds the key, the project and the current trace context to each call. */
function carrying(headers: readonly (readonly [string, string])[]): Interceptor {
  const userAgent = `prompt-ledger-typescript/${VERSION}`;
  return (next) => (request) => {
    // A copy: whoever is further out still has the request when the call is over.
    const header = new Headers(request.header);
    for (const [name, value] of headers) {
      header.set(name, value);
    }
    header.set("user-agent", userAgent);
    injectTrace(header);
    return next({ ...request, header });
  };
}

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

/** Connect's manager of sessions, which also says where no connection came about. */
class Sessions implements SessionManager {
  readonly authority: string;
  readonly #manager: Http2SessionManager;

  constructor(target: Target) {
    this.authority = target.url;
    const pings = { pingIntervalMs: PING_INTERVAL, pingTimeoutMs: PING_TIMEOUT };
    const options: SecureClientSessionOptions = {
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      createConnection: () => socketTo(target),
    };
    this.#manager = new Http2SessionManager(target.url, pings, options);
  }

  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Omit<ClientSessionRequestOptions, "signal">,
  ): Promise<ClientHttp2Stream> {
    try {
      return await this.#manager.request(method, path, headers, options);
    } catch (error) {
      const { rawMessage: message } = ConnectError.from(error);
      throw new ConnectError(
        message,
        Code.Unavailable,
        undefined,
        undefined,
        new NotConnected(message, { cause: error }),
      );
    }
  }

  notifyResponseByteRead(stream: ClientHttp2Stream): void {
    this.#manager.notifyResponseByteRead(stream);
  }

  abort(reason: Error): void {
    this.#manager.abort(reason);
  }
}

/** A socket that fails where it is not connected in time. Small packets are sent at once (TCP_NODELAY). */
function socketTo(target: Target): Socket {
  const { host, port, tls } = target;
  const to = { host, port, noDelay: true, autoSelectFamily: true };
  if (tls === undefined) {
    const socket = connectPlain(to);
    limited(socket, "connect", host);
    return socket;
  }
  const servername = isIP(host) === 0 ? host : "";
  const { ca, cert, key } = tls;
  const socket = connectTls({ ...to, servername, ALPNProtocols: ["h2"], ca, cert, key });
  limited(socket, "secureConnect", host);
  return socket;
}

function limited(socket: Socket, connected: "connect" | "secureConnect", host: string): void {
  socket.setTimeout(CONNECT_TIMEOUT, () => {
    socket.destroy(new Error(`no connection to ${host} within ${String(CONNECT_TIMEOUT / 1_000)} s`));
  });
  socket.once(connected, () => {
    socket.setTimeout(0);
  });
}
