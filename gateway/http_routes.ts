/** What an HTTP request asks the gateway for. Pure. */

import { parseCursor } from "../lib/events.ts";
import { isSessionId } from "../lib/champion_ids.ts";
import type { Requests } from "../lib/wire.ts";
import { CANCEL_PATH, HEALTH_PATH, OPERATION_PATH } from "../lib/wire/http.ts";
import { hostOf } from "./hosts.ts";
import { HttpError, httpError } from "./http_answers.ts";
import { LOOKS_LIKE_TOKEN } from "./tokens.ts";
import { US } from "../lib/wire/handshake.ts";

/** Of 0.4.4, whose client speaks another language. */
const LEGACY_PATHS: ReadonlySet<string> = new Set(
  ["create", "send", "kill", "list", "status", "wait", "last-message", "logs", "inspect", "goal"].map((
    name,
  ) => `/${name}`),
);
const EVENTS_KEYS: ReadonlySet<string> = new Set(["since", "ids", "follow"]);

export type Route =
  | { readonly kind: "health" }
  | { readonly kind: "legacy"; readonly path: string }
  | { readonly kind: "operation"; readonly operation: string }
  /** Stops what runs with the request's key. */
  | { readonly kind: "cancel" }
  /** Server-sent events. */
  | { readonly kind: "events"; readonly request: Requests["events"] };

/**
 * Path and query of what was asked for. A client that takes us for a proxy, as HTTP permits, names us in it once more.
 *
 * @throws HttpError for another name than ours.
 */
export function targetOf(url: string, allowed: ReadonlySet<string>): string {
  const [, authority, target] = /^http:\/\/([^/?#]*)([/?][^#]*)?$/i.exec(url) ?? [];
  if (authority === undefined) return url;
  const host = hostOf(authority);
  if (host === null || !allowed.has(host)) {
    throw httpError(
      403,
      "refused",
      "Cannot ask another server for you: this is the gateway of dev-sessions alone",
    );
  }
  return target?.startsWith("/") ? target : `/${target ?? ""}`;
}

/**
 * @param url path and query.
 * @throws HttpError
 */
export function routeOf(method: string, url: string, lastEventId: string | undefined): Route {
  if (!url.startsWith("/")) {
    throw httpError(400, "usage", "Cannot understand the request: its address is no path");
  }
  const [path = "", query = ""] = url.split("?", 2);
  const isLegacy = LEGACY_PATHS.has(path);
  if (LOOKS_LIKE_TOKEN.test(url) && !isLegacy) {
    throw httpError(
      400,
      "usage",
      "Cannot take a token from the address, where others can read it: send it as Authorization: Bearer <token>. " +
        "Revoke this one with: dev-sessions gateway token revoke <id>",
    );
  }
  if (path === HEALTH_PATH) {
    if (method === "GET" || method === "HEAD") return { kind: "health" };
    throw wrongMethod("GET, HEAD");
  }
  if (isLegacy) return { kind: "legacy", path };
  if (path === `${OPERATION_PATH}events` && method === "GET") {
    return { kind: "events", request: eventsRequest(new URLSearchParams(query), lastEventId) };
  }
  const operation = /^\/v1\/([A-Za-z]{1,40})$/.exec(path)?.[1];
  if (operation === undefined) {
    throw httpError(404, "usage", `Cannot find what was asked for: see POST /v1/<operation>`);
  }
  if (method !== "POST") throw wrongMethod("POST");
  if (query !== "") throw httpError(400, "usage", "Cannot understand the request: it takes no query");
  return path === CANCEL_PATH ? { kind: "cancel" } : { kind: "operation", operation };
}

/** For a client of 0.4.4, which prints `error`. */
export function legacyAnswer(): { readonly ok: false; readonly error: string } {
  return {
    ok: false,
    error:
      `This gateway is dev-sessions ${US.version}, and the dev-sessions that asks is 0.4.4 or older: they do not ` +
      "understand each other. Install the same version as the host's here, and give it a token with " +
      "DEV_SESSIONS_GATEWAY_TOKEN; make one on the host with: dev-sessions gateway token create",
  };
}

function eventsRequest(query: URLSearchParams, lastEventId: string | undefined): Requests["events"] {
  for (const key of query.keys()) {
    if (!EVENTS_KEYS.has(key)) {
      throw httpError(400, "usage", `Cannot read events: there is no parameter "${key.slice(0, 40)}"`);
    }
  }
  const given = lastEventId ?? query.get("since");
  const since = given === null || given === "" ? null : given === "now" ? given : parseCursor(given);
  if (since === null && given) {
    throw httpError(400, "usage", "Cannot read events: that is no cursor of an event");
  }
  const ids = query.get("ids")?.split(",").filter((id) => id !== "") ?? null;
  if (ids !== null && !ids.every(isSessionId)) {
    throw httpError(400, "usage", "Cannot read events: ids are no session ids");
  }
  const follow = query.get("follow") ?? "true";
  if (follow !== "true" && follow !== "false") {
    throw httpError(400, "usage", "Cannot read events: follow is true or false");
  }
  return { ids, since, follow: follow === "true" };
}

function wrongMethod(allow: string): HttpError {
  return httpError(405, "usage", `Cannot do that: the method is ${allow}`, { allow });
}
