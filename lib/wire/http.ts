/** How the wire goes over HTTP: paths, headers, and the bodies of answers. Both ends read it here. */

import * as v from "valibot";
import { wireError } from "./errors.ts";
import { peer } from "./handshake.ts";

/** `POST /v1/<operation>`; the number changes only when HTTP itself is used in another way. */
export const OPERATION_PATH = "/v1/";
/** Stops what runs with the idempotency key of the header; answers `{"result": {"stopped": <boolean>}}`. */
export const CANCEL_PATH = "/v1/cancel";
/** Answers without a token: `health` below. */
export const HEALTH_PATH = "/health";

export const HEADER = {
  /** `WIRE_PROTOCOL` of whoever sends it, in requests and answers. */
  protocol: "dev-sessions-protocol",
  version: "dev-sessions-version",
  /** The same for every attempt of one request; percent-encoded, since a header holds ASCII only. */
  key: "idempotency-key",
  /** `1`: an earlier attempt with this key may have arrived. */
  again: "dev-sessions-again",
} as const;

/** Of a stream's answer: one `streamLine` per line; an empty line only says that the connection lives. */
export const STREAM_TYPE = "application/x-ndjson";
/** A server of a stream says nothing for this long at most. */
export const KEEP_ALIVE_MS = 15_000;
/** Of a request or of a line. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Of a `key`. */
export const MAX_KEY_LENGTH = 200;

/** The answer of `GET /health`: 0.4.4 had only `status`. */
export const health = v.object({ status: v.literal("healthy"), ...peer.entries });

/** The body of every answer to a call; its HTTP status is for proxies and people. */
export const callAnswer = v.union([
  v.object({ error: wireError }),
  v.object({ result: v.unknown() }),
]);

/** `end` says that there is nothing more; without it or an error, the stream broke. */
export const streamLine = v.union([
  v.object({ item: v.unknown() }),
  v.object({ error: wireError }),
  v.object({ end: v.literal(true) }),
]);
