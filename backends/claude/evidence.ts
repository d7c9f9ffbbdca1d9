/** What is known of a Claude session at one moment, from Claude's own records. Data only; decisions are in `state.ts`. */

import type { Liveness } from "../../lib/session.ts";
import type { HookEvent } from "./hook_log.ts";
import type { RegistryEntry } from "./live_registry.ts";
import type { Mark } from "./transcript.ts";

export interface ClaudeEvidence {
  /** When it was gathered, milliseconds since the epoch. */
  readonly at: number;
  readonly process: Liveness;
  /** Null: this Claude keeps none, or not for this process. */
  readonly registry: RegistryEntry | null;
  /** Hook events, oldest first, as far back as the decision needs. */
  readonly events: readonly HookEvent[];
  /** False when not one event was ever written although the agent started: hooks are off. */
  readonly hooks: boolean;
  /** Marks of the transcript's end, oldest first. */
  readonly marks: readonly Mark[];
  readonly transcript: "present" | "missing";
}

/** Where the records stood when a message went in; everything later belongs to it or came after it. */
export interface Anchor {
  /** Name of the newest hook event then; null: none. */
  readonly event: string | null;
  /** The transcript then, and its size in bytes. */
  readonly transcript: string;
  readonly offset: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Identifies the message's text in the records, see `textKey`. */
  readonly text: string;
}
