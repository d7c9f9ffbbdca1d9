/** The gateway and its tokens are the host's: in a container there would be others, which no gateway knows. */

import { assertOnHost } from "../client_settings.ts";
import type { ParseContext } from "./verb.ts";

/** @throws AppError in a container. */
export function assertGatewayHost(env: ParseContext["env"], what: string, command: string): void {
  assertOnHost(env, { what, why: "the gateway is the host's", command });
}
