/** What the command tree and what fits at the cursor have in common. */

import type { Command, CommandContext } from "@stricli/core";

/** What a command declares of its flags and positionals. */
export type Parameters = Command<CommandContext>["parameters"];

export interface Word {
  readonly value: string;
  /** Shown beside it where the shell can; may be empty. */
  readonly brief: string;
}
