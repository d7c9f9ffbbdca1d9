/** What is known of a Claude session at one moment, from Claude's own records. Data only; decisions are in `state.ts`. */

import * as v from "valibot";
import type { Liveness } from "../../lib/session.ts";
import type { HookEvent } from "./hook_log.ts";
import type { RegistryEntry } from "./live_registry.ts";
import type { Mark } from "./transcript.ts";

export interface ClaudeEvidence {
  /** When it was gathered, milliseconds since the epoch. */
  readonly at: number;
  readonly process: Liveness;
  /** The file that says that Claude may live on, though the wrapper that it was started through does not. */
  readonly behindWrapper: string | null;
  /** Null: this Claude keeps none, or not for this process. */
  readonly registry: RegistryEntry | null;
  /** Hook events, oldest first, as far back as the decision needs. */
  readonly events: readonly HookEvent[];
  /** Permission requests whose hook waits for an answer, oldest first. */
  readonly held: readonly HookEvent[];
  /** False when not one event was ever written although the agent started: hooks are off. */
  readonly hooks: boolean;
  /** Marks of the transcript's end, oldest first. */
  readonly marks: readonly Mark[];
  readonly transcript: "present" | "missing";
}

const AnchorSchema = v.looseObject({
  /** Name of the newest hook event then; null: none. */
  event: v.nullable(v.string()),
  /** The transcript then, and its size in bytes. */
  transcript: v.string(),
  offset: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** Milliseconds since the epoch. */
  at: v.number(),
  /** Identifies the message's text in the records, see `textKey`. */
  text: v.string(),
});

/** Where the records stood when a message went in; everything later belongs to it or came after it. */
export type Anchor = Readonly<v.InferOutput<typeof AnchorSchema>>;

/** Null for none, and for what another version may have stored that this one does not understand. */
export function anchorOf(stored: unknown): Anchor | null {
  const parsed = v.safeParse(AnchorSchema, stored);
  return parsed.success ? parsed.output : null;
}
