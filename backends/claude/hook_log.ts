/** Reads a session's hook events, newest first, each parsed at most once and only when it is asked for. */

import * as v from "valibot";
import type { BackgroundTask } from "../../lib/session.ts";
import { Allowance } from "../docker/allowance.ts";
import { readText, sharedFolderOf, TooLarge } from "../docker/shared_files.ts";

const BackgroundSchema = v.looseObject({
  id: v.string(),
  type: v.string(),
  status: v.optional(v.string()),
  description: v.optional(v.nullable(v.string())),
});

const BodySchema = v.looseObject({
  hook_event_name: v.string(),
  session_id: v.optional(v.string()),
  transcript_path: v.optional(v.string()),
  prompt: v.optional(v.string()),
  prompt_id: v.optional(v.string()),
  source: v.optional(v.string()),
  reason: v.optional(v.string()),
  error: v.optional(v.string()),
  last_assistant_message: v.optional(v.nullable(v.string())),
  tool_name: v.optional(v.string()),
  tool_input: v.optional(v.unknown()),
  permission_suggestions: v.optional(v.unknown()),
  agent_id: v.optional(v.string()),
  agent_type: v.optional(v.string()),
  background_tasks: v.optional(v.array(BackgroundSchema)),
  session_crons: v.optional(v.array(v.looseObject({ id: v.optional(v.string()) }))),
});
export type HookBody = v.InferOutput<typeof BodySchema>;

export interface HookEvent {
  /** File name; sorts by time. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly event: string;
  readonly body: HookBody;
  /** Present: it was a container's, and is larger than an event may be; its body says no more than its kind. */
  readonly unread?: true;
}

/** `<nanoseconds>-<pid>.<Event>.json` */
const NAME = /^(\d{19})-\d+\.([A-Za-z]+)\.json$/;

/**
 * Of a container's event. The texts in one, a message or what a tool is given, have 1 MB at most, and twice that where
 * all of it has to be escaped.
 */
const MAX_SHARED_BYTES = 4 * 1024 * 1024;
/** More than any session has; a container can make as many files as it likes. */
const MAX_EVENTS = 200_000;

export class HookLog {
  readonly #folder: string;
  readonly #parsed = new Map<string, HookEvent | null>();
  /** What this look may still read of a container's events. */
  #allowance = new Allowance();

  /** @param transcriptOf says where a conversation's transcript is, where the hooks' own word does not count. */
  constructor(folder: string, private readonly transcriptOf?: (conversation: string) => string | null) {
    this.#folder = folder;
  }

  /** Names of all events, oldest first; empty when there is no folder. With them a look begins. */
  names(): string[] {
    this.#allowance = new Allowance();
    const names: string[] = [];
    try {
      for (const entry of Deno.readDirSync(this.#folder)) {
        if (NAME.test(entry.name)) names.push(entry.name);
        if (names.length === MAX_EVENTS) break;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return names.sort();
  }

  /**
   * Null for a file that is gone or is no event; a hook renames complete files only. What this look may not read any
   * more is `unread`, and read by the next one.
   */
  read(name: string): HookEvent | null {
    const known = this.#parsed.get(name);
    if (known !== undefined) return known;
    const event = this.#parse(name);
    if (event === "spent") return unreadEvent(name);
    // E.g. too many open files: it may be read the next time.
    if (event === "failed") return null;
    this.#parsed.set(name, event);
    return event;
  }

  /** Events after `after` (null: all), oldest first, at most the newest `limit`. */
  since(after: string | null, limit = 200): HookEvent[] {
    return this.names()
      .filter((name) => after === null || name > after)
      .slice(-limit)
      .map((name) => this.read(name))
      .filter((event) => event !== null);
  }

  /** The newest event of one of these kinds, looking back as far as the log goes. */
  newest(...kinds: readonly string[]): HookEvent | null {
    return this.newestOf(this.names(), kinds);
  }

  /** As `newest`, of names that the caller has read already, oldest first. */
  newestOf(names: readonly string[], kinds: readonly string[]): HookEvent | null {
    for (const name of names.toReversed()) {
      if (!kinds.includes(NAME.exec(name)?.[2] ?? "")) continue;
      const event = this.read(name);
      if (event !== null) return event;
    }
    return null;
  }

  #parse(name: string): HookEvent | null | "spent" | "failed" {
    const event = outline(name);
    if (event === null) return null;
    const path = `${this.#folder}/${name}`;
    const isShared = sharedFolderOf(path) !== null;
    if (isShared && !this.#allowance.mayOpen()) return "spent";
    try {
      const text = readText(path, MAX_SHARED_BYTES);
      switch (isShared ? this.#allowance.judge(text) : "light") {
        case "spent":
          return "spent";
        case "too heavy":
          return unreadEvent(name);
        case "light": {
          const body = v.safeParse(BodySchema, JSON.parse(text));
          return body.success ? { ...event, body: this.#settled(body.output) } : null;
        }
      }
    } catch (error) {
      if (error instanceof TooLarge) return unreadEvent(name);
      return error instanceof SyntaxError || error instanceof Deno.errors.NotFound ? null : "failed";
    }
  }

  #settled(body: HookBody): HookBody {
    if (this.transcriptOf === undefined) return body;
    const { transcript_path: _, ...rest } = body;
    const path = body.session_id === undefined ? null : this.transcriptOf(body.session_id);
    return path === null ? rest : { ...rest, transcript_path: path };
  }
}

/** What an event's name alone says: its kind and time. The body is not read. Pure. */
export function outline(name: string): HookEvent | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  // Thirteen of nineteen digits: nanoseconds without their last six are milliseconds.
  return { name, at: Number(match[1]!.slice(0, 13)), event: match[2]!, body: { hook_event_name: match[2]! } };
}

function unreadEvent(name: string): HookEvent | null {
  const event = outline(name);
  return event === null ? null : { ...event, unread: true };
}

/** The work that goes on after a turn's end, as the newest Stop event lists it. */
export function backgroundTasks(body: HookBody): BackgroundTask[] {
  const tasks = (body.background_tasks ?? [])
    .filter((task) => task.status === undefined || task.status === "running" || task.status === "pending")
    .map((task) => ({ id: task.id, type: task.type, description: task.description ?? null }));
  const crons = (body.session_crons ?? []).map((cron, index) => ({
    id: cron.id ?? `cron-${index + 1}`,
    type: "cron",
    description: null,
  }));
  return [...tasks, ...crons];
}
