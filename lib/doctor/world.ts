/** What every check is given: the outside world, and the registry as it stands, read without changing anything. */

import type { Config } from "../config.ts";
import type { Deps } from "../deps.ts";
import type { Paths } from "../paths.ts";
import type { SessionService } from "../service.ts";
import type { AgentKind } from "../session.ts";
import type { SeenRows } from "../store/checkup.ts";
import type { Found } from "./finding.ts";

export interface World {
  readonly deps: Deps;
  readonly paths: Paths;
  readonly version: string;
  /** What the commands speak to. */
  readonly service: () => Promise<SessionService>;
  /** Aborted when the time of the checks is up. */
  readonly signal: AbortSignal;
  /** The defaults where the configuration can't be used. */
  readonly config: Config;
  /**
   * The rows as of this call; null when they can't be read. What is compared with them must be looked at before:
   * whatever is begun for a row is begun after it.
   */
  readonly rows: () => SeenRows | null;
}

/** What came of the checks of one agent. */
export interface Checkup {
  readonly agent: AgentKind;
  readonly installed: boolean;
  readonly findings: readonly Found[];
}

/** What an agent's own room offers to `doctor`. */
export type Examiner = (world: World) => Promise<Checkup>;

/** One line of what a program said. */
export function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
