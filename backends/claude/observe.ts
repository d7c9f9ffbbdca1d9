/** Gathers the evidence on a session: reads Claude's records and decides nothing. */

import type { Deps } from "../../lib/deps.ts";
import type { Paths } from "../../lib/paths.ts";
import type { Liveness, Session } from "../../lib/session.ts";
import { tailMarks } from "./conversation.ts";
import type { Anchor, ClaudeEvidence } from "./evidence.ts";
import { type ClaudeHandle, handleOf } from "./handle.ts";
import { type HookEvent, HookLog, outline } from "./hook_log.ts";
import { sessionFolder } from "./launch_files.ts";
import { readRegistry, type RegistryEntry } from "./live_registry.ts";
import type { Mark } from "./transcript.ts";
import { readForwards } from "./transcript_file.ts";
import { isEndEvent } from "./turn_end.ts";
import { isInsideProjects, transcriptPath } from "./transcript_path.ts";

/** Of a transcript's end, for a state; hooks and the live registry say the rest. */
const TAIL_BYTES = 2 * 1024 * 1024;
const CONVERSATION_ID = /^[0-9a-fA-F-]{36}$/;
/** Events that are opened to find the newest turn's start and end. */
const EVENT_LIMIT = 40;

/** One session seen by one command; keeps what it has parsed. */
export class Observer {
  readonly hooks: HookLog;
  readonly handle: ClaudeHandle;
  #sinceAnchor: { path: string; offset: number; marks: Mark[] } | null = null;

  constructor(private readonly deps: Deps, paths: Paths, readonly session: Session) {
    this.handle = handleOf(session);
    this.hooks = new HookLog(sessionFolder(paths.sessionFolder(session.token)).events);
  }

  /** The transcript's end is read only where registry and hooks leave something open, or for `all` of it. */
  async evidence(
    options: { readonly liveness?: Liveness; readonly all?: boolean } = {},
  ): Promise<ClaudeEvidence> {
    const registry = this.registry();
    const process = options.liveness ?? await this.liveness();
    const names = this.hooks.names();
    const events = this.#recentEvents(names);
    const known = { at: this.deps.clock.now(), process, registry, events, hooks: events.length > 0 };
    if (!options.all && registry !== null && saysAll(events)) {
      return { ...known, marks: [], transcript: "present" };
    }
    const tail = tailMarks(this.transcript(registry, names), { maxBytes: TAIL_BYTES });
    return { ...known, marks: tail.marks, transcript: tail.size === 0 ? "missing" : "present" };
  }

  async liveness(): Promise<Liveness> {
    const { process } = this.session;
    if (process === null) return "unknown";
    return (await this.deps.processStates([process]))[0] ?? "unknown";
  }

  registry(): RegistryEntry | null {
    const { process } = this.session;
    return process === null ? null : readRegistry(this.handle.configFolder, process);
  }

  /**
   * The transcript of the conversation as it is now: `/clear` starts another one. A path that a hook names is used
   * only inside of Claude's own folder.
   */
  transcript(
    registry: RegistryEntry | null = this.registry(),
    names: readonly string[] = this.hooks.names(),
  ): string {
    const { configFolder, realPath } = this.handle;
    const { current, start } = this.#conversation(registry, names);
    const named = start?.body.transcript_path;
    if (named !== undefined && start?.body.session_id === current && isInsideProjects(configFolder, named)) {
      return named;
    }
    return transcriptPath(configFolder, realPath, CONVERSATION_ID.test(current) ? current : "none");
  }

  /** Claude's id of the conversation as it is now, or was when the agent ended; null when no record names one. */
  conversation(): string | null {
    const { current } = this.#conversation(this.registry(), this.hooks.names());
    return CONVERSATION_ID.test(current) ? current : null;
  }

  #conversation(registry: RegistryEntry | null, names: readonly string[]) {
    const start = this.hooks.newestOf(names, ["SessionStart"]);
    const current = registry?.sessionId ?? start?.body.session_id ?? this.session.agentSessionId ?? "";
    return { current, start };
  }

  /** Where the records stand now, for a message that is about to be typed. */
  anchor(textKey: string): Anchor {
    const transcript = this.transcript();
    return {
      event: this.hooks.names().at(-1) ?? null,
      transcript,
      offset: sizeOf(transcript),
      at: this.deps.clock.now(),
      text: textKey,
    };
  }

  /** What was recorded after the anchor; called again, it reads only what is new. */
  since(anchor: Anchor): { events: readonly HookEvent[]; marks: readonly Mark[] } {
    const known = this.#sinceAnchor?.path === anchor.transcript
      ? this.#sinceAnchor
      : { path: anchor.transcript, offset: anchor.offset, marks: [] };
    if (isInsideProjects(this.handle.configFolder, anchor.transcript)) {
      const read = readForwards(anchor.transcript, known.offset, (mark) => {
        known.marks.push(mark);
        return "continue";
      });
      if (read.result === "read") known.offset = read.offset;
    }
    this.#sinceAnchor = known;
    return { events: this.hooks.since(anchor.event), marks: known.marks };
  }

  /** The newest events back to the end of the turn before the newest that ended, oldest first. */
  #recentEvents(names: readonly string[]): HookEvent[] {
    const events: HookEvent[] = [];
    let ends = 0;
    for (const name of names.slice(-EVENT_LIMIT).reverse()) {
      const event = this.#known(name);
      if (event === null) continue;
      events.push(event);
      if (isEndEvent(event)) ends++;
      if (ends === 2 || event.event === "SessionStart") break;
    }
    return events.reverse();
  }

  /** Of these kinds a state needs no more than when they were. */
  #known(name: string): HookEvent | null {
    const event = outline(name);
    switch (event?.event) {
      case "UserPromptSubmit":
      case "SessionStart":
      case "SessionEnd":
        return event;
      default:
        return this.hooks.read(name);
    }
  }
}

/**
 * The hooks have the newest turn's start and end, or the start of a session that was never prompted. With two prompts
 * before the end, one was queued: it may have been taken up after that end, and only the transcript tells.
 */
function saysAll(events: readonly HookEvent[]): boolean {
  const end = events.findLastIndex(isEndEvent);
  const before = events.slice(0, Math.max(0, end));
  const turn = before.slice(before.findLastIndex(isEndEvent) + 1);
  const isPrompt = (event: HookEvent) => event.event === "UserPromptSubmit";
  if (events.slice(end + 1).some(isPrompt)) return false;
  return end === -1 ? events[0]?.event === "SessionStart" : turn.filter(isPrompt).length === 1;
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}
