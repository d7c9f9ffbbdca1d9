/**
 * Who may be spoken to: requests from web pages are refused, and so are requests to a name that is not ours, with which
 * a page could reach us by way of DNS. Pure.
 */

import { isHostName, isIpv6 } from "../lib/host_names.ts";

const USUAL_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "::1", "host.docker.internal"];

/** @param more bound addresses and names that the user has allowed. */
export function allowedHosts(more: readonly string[]): ReadonlySet<string> {
  return new Set([...USUAL_HOSTS, ...more.map((host) => host.toLowerCase())]);
}

/** The host of a `Host` header without its port, in lower case; null for what is none. */
export function hostOf(header: string): string | null {
  const [, bracketed, plain, port] =
    /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(header.trim().toLowerCase()) ??
      [];
  if (port !== undefined && Number(port) > 65_535) return null;
  if (bracketed !== undefined) return isIpv6(bracketed) ? bracketed : null;
  return plain !== undefined && isHostName(plain) ? plain : null;
}

export interface Rejection {
  readonly status: 400 | 403;
  readonly message: string;
}

/**
 * Null when the request may be looked at.
 *
 * @param raw headers in the order in which they came, names and values in turn.
 */
export function rejectionOf(raw: readonly string[], allowed: ReadonlySet<string>): Rejection | null {
  const values = (name: string) =>
    raw.flatMap((text, index) =>
      index % 2 === 0 && text.toLowerCase() === name ? [raw[index + 1] ?? ""] : []
    );
  if (values("origin").length > 0) {
    return {
      status: 403,
      message: "Cannot use the gateway from a web page: it has no Origin that it permits",
    };
  }
  for (const name of ["host", "authorization", "content-length"]) {
    if (values(name).length > 1) {
      return { status: 400, message: `Cannot understand the request: more than one ${name}` };
    }
  }
  const [header] = values("host");
  const host = header === undefined ? null : hostOf(header);
  if (host === null) {
    return { status: 400, message: "Cannot understand the request: its Host header is none" };
  }
  if (allowed.has(host)) return null;
  return {
    status: 403,
    message: `Cannot use the gateway as "${host}": it has another name. ` +
      `Allow it with: dev-sessions gateway --allow-host ${host}`,
  };
}
