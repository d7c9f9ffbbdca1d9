/** Lets one more session live only within the limits; deaths that nobody has noticed yet make room first. */

import {
  assertDepth,
  assertRoom,
  assertRoomForHolder,
  assertRoomOfToken,
  depthOf,
  type Limits,
  type TokenLimit,
  TooManySessionsError,
} from "./limits.ts";
import type { Session, SessionId } from "./session.ts";
import type { Admit } from "./store/sessions.ts";

export interface Applicant {
  /** For errors, e.g. `create a session`. */
  readonly action: string;
  readonly parent: SessionId | null;
  readonly limits: Limits;
  readonly configFile: string;
  /** The gateway's token with which the session is made, and those that it stands on; empty: none. */
  readonly tokens?: readonly TokenLimit[];
}

export class Admission {
  /** @throws AppError (refused) at once for a family that would be too deep. */
  constructor(
    private readonly applicant: Applicant,
    private readonly registry: {
      readonly find: (id: SessionId) => Session | null;
      readonly noticeDeaths: () => Promise<void>;
    },
  ) {
    const { action, parent, limits, configFile } = applicant;
    assertDepth(depthOf(parent, registry.find), limits, action, configFile);
  }

  /**
   * @param attempt adds the session; called again when it was kept out and deaths were looked for.
   * @throws AppError (refused) when there is no room.
   */
  async run<T>(attempt: (admit: Admit) => Promise<T>): Promise<T> {
    const { action, limits, configFile, tokens = [] } = this.applicant;
    const admit: Admit = (live, liveOf) => {
      for (const token of tokens) assertRoomOfToken(liveOf(token.id), token.maxSessions, action);
      if (tokens.length === 0) assertRoom(live, limits, action, configFile);
      else assertRoomForHolder(live, limits, action);
    };
    try {
      return await attempt(admit);
    } catch (error) {
      if (!(error instanceof TooManySessionsError)) throw error;
    }
    await this.registry.noticeDeaths();
    return await attempt(admit);
  }
}
