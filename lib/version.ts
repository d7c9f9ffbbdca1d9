/** Which dev-sessions this is, and which wire protocol it speaks; other programs compare these, so they stand in one place. */

import config from "../deno.json" with { type: "json" };

/** Of this program, as `deno.json` has it. */
export const VERSION: string = config.version;

/**
 * Of the requests and results between two dev-sessions (gateway, ssh). Raised only when an older program could
 * misunderstand a newer one; additions that may be left out do not raise it.
 */
export const WIRE_PROTOCOL = 1;
