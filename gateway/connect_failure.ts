/** Why a gateway could not be reached and what to do about it, from the words of the runtime. Pure. */

import { DEFAULT_GATEWAY_URL, type GatewayAddress } from "../lib/client_settings.ts";
import { CarrierError } from "./carrier.ts";

const SOCKET_WAY = "mount the directory of its socket into the container and set " +
  "DEV_SESSIONS_GATEWAY_URL=unix://<directory>/gateway.sock";

/**
 * @param said the error of `fetch` with its causes, as one line.
 * @param wasThere whether it has answered this process before.
 */
export function connectFailure(address: GatewayAddress, said: string, wasThere = false): CarrierError {
  // Source: hyper's `client error (Connect)`; anything later may have reached the other end.
  const unsent = said.includes("(Connect)");
  const closed = /Requests to port (\d+) are blocked/.exec(said)?.[1];
  if (closed !== undefined) {
    const way = "Give the gateway another one with: dev-sessions gateway --port 6767";
    return failed(address, `the port ${closed} is closed to HTTP`, way, null, true);
  }
  if (!unsent) {
    return new CarrierError(
      `Gateway request failed for ${address.url} (the connection broke). Try again`,
      { unsent },
      said,
    );
  }
  if (/dns error|failed to lookup address/i.test(said)) return unknownName(address, said, wasThere);
  if (/connection refused/i.test(said)) return refused(address);
  if (address.kind === "unix") return noSocket(address, said);
  return failed(address, reasonIn(said), start(address), null);
}

/** What it says in brackets. Pure. */
export function inFewWords({ message }: CarrierError): string {
  return /\(([^)]+)\)/.exec(message)?.[1] ?? message;
}

function reasonIn(said: string): string {
  return /\(Connect\): (?:tcp connect error: )?(.+)$/.exec(said)?.[1] ?? "no connection";
}

/** It neither took the connection nor refused it. */
export function noAnswer(address: GatewayAddress, seconds: number): CarrierError {
  const firewall = `a firewall drops the packets; else ${SOCKET_WAY}`;
  const hint = address.kind === "unix"
    ? "See what it does with its log on the host"
    : isNumeric(address.hostname)
    ? `It may be another address that it listens on, or ${firewall}`
    : `Its name may not be known here (on Linux, start the container with: ${
      addHost(address)
    }), or ${firewall}`;
  return failed(address, `no answer within ${seconds} s`, start(address), hint, true);
}

/** It has taken the request and says nothing more. */
export function silence(address: GatewayAddress, seconds: number): CarrierError {
  return new CarrierError(
    `Gateway request failed for ${address.url} (no answer within ${seconds} s). Try again`,
    { unsent: false, hopeless: true },
    "See what the gateway does with its log on the host",
  );
}

function unknownName(address: GatewayAddress, said: string, wasThere: boolean): CarrierError {
  const name = address.kind === "unix" ? address.path : address.hostname;
  if (wasThere) return failed(address, `the name ${name} is not known just now`, "Try again", said);
  return failed(
    address,
    `the name ${name} is not known here`,
    address.kind === "unix" ? said : `On Linux, start the container with: ${addHost(address)}`,
    `Or ${SOCKET_WAY}`,
    true,
  );
}

function refused(address: GatewayAddress): CarrierError {
  if (address.kind === "unix") {
    return failed(
      address,
      "nobody listens on this socket",
      start(address),
      "If it was started again since the container was: mount the directory of the socket, not the socket itself",
    );
  }
  return failed(
    address,
    "connection refused",
    start(address),
    isLoopback(address.hostname)
      ? `In a container, ${address.hostname} is the container itself: use ${DEFAULT_GATEWAY_URL}`
      : "If it runs, it listens on the host's own loopback only, which containers can't reach: start it with: " +
        `dev-sessions gateway --bind docker\nOr ${SOCKET_WAY}`,
  );
}

function noSocket(address: Extract<GatewayAddress, { kind: "unix" }>, said: string): CarrierError {
  if (!/no such file|not a directory/i.test(said) && !/permission denied/i.test(said)) {
    return failed(address, reasonIn(said), start(address), null);
  }
  if (/permission denied/i.test(said)) {
    return failed(
      address,
      "permission denied",
      "Use the socket that the gateway makes for containers (mode 0666, in a directory of its own)",
      null,
      true,
    );
  }
  return failed(
    address,
    "there is no such socket",
    start(address),
    "If it runs, mount the directory of its socket into the container at that path",
  );
}

function failed(
  address: GatewayAddress,
  why: string,
  way: string,
  detail: string | null,
  hopeless = false,
): CarrierError {
  return new CarrierError(
    `Gateway request failed for ${address.url} (${why}). ${way}`,
    { unsent: true, hopeless },
    detail,
  );
}

function start(address: GatewayAddress): string {
  const port = address.kind === "http" ? ` --port ${address.port}` : "";
  return `Is the gateway running? Start it with: dev-sessions gateway${port}`;
}

function addHost(address: Exclude<GatewayAddress, { kind: "unix" }>): string {
  return `--add-host=${address.hostname}:host-gateway`;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

/** An address as a URL has it, and no name. */
function isNumeric(hostname: string): boolean {
  return hostname.startsWith("[") || /^[\d.]+$/.test(hostname);
}
