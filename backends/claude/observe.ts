/** Gathers the evidence on a session: reads Claude's records and decides nothing. */

import type { Deps } from "../../lib/deps.ts";
import { sizeOf } from "../../lib/files.ts";
import type { Paths } from "../../lib/paths.ts";
import { baseName } from "../../lib/posix_path.ts";
import type { Liveness, Session } from "../../lib/session.ts";
import { tailMarks } from "./conversation.ts";
import type { Anchor, ClaudeEvidence } from "./evidence.ts";
import { markShared, reachReader } from "../docker/shared_files.ts";
import { type ClaudeHandle, handleOf } from "./handle.ts";
import { type HookEvent, HookLog, outline } from "./hook_log.ts";
import { sessionFolder } from "./launch_files.ts";
import {
  findEntryIn,
  findRegistryEntry,
  readContainedEntry,
  readRegistry,
  type RegistryEntry,
  registryFolder,
} from "./live_registry.ts";
import type { Mark } from "./transcript.ts";
import { readForwards } from "./transcript_file.ts";
import { isEndEvent } from "./turn_end.ts";
import { findTranscript, isInsideProjects, transcriptPath } from "./transcript_path.ts";

/** Of a transcript's end, for a state; hooks and the live registry say the rest. */
const TAIL_BYTES = 2 * 1024 * 1024;
const CONVERSATION_ID = /^[0-9a-fA-F-]{36}$/;
/** Events that are opened to find the newest turn's start and end. */
const EVENT_LIMIT = 40;
/** Requests of a container that are open at the same time. */
const HELD_LIMIT = 40;

/** From the registry's word to the request of its hook (measured: under 0.1 s), and between looks. */
const REQUEST_LAG_MS = 1_000;
const REQUEST_POLL_MS = 20;

/** One session seen by one command; keeps what it has parsed. */
export class Observer {
  readonly hooks: HookLog;
  readonly handle: ClaudeHandle;
  readonly #requests: string;
  #sinceAnchor: { path: string; from: number; offset: number; marks: Mark[] } | null = null;

  constructor(private readonly deps: Deps, paths: Paths, readonly session: Session) {
    this.handle = handleOf(session);
    const folder = sessionFolder(paths.sessionFolder(session.token));
    this.#requests = folder.requests;
    const { container, configFolder } = this.handle;
    if (container === undefined) {
      this.hooks = new HookLog(folder.events);
      return;
    }
    const shared = container.by === "docker"
      ? [configFolder, folder.events, container.registry]
      // The user's own folder, parts of which may be elsewhere.
      : [`${configFolder}/projects`, registryFolder(configFolder)];
    for (const path of shared) markShared(path);
    // A path of theirs is one in the container, or a trap.
    this.hooks = new HookLog(
      folder.events,
      (conversation) => CONVERSATION_ID.test(conversation) ? this.transcriptOf(conversation) : null,
    );
  }

  /** The transcript's end is read only where registry and hooks leave something open, or for `all` of it. */
  async evidence(
    options: { readonly liveness?: Liveness; readonly all?: boolean } = {},
  ): Promise<ClaudeEvidence> {
    const process = options.liveness ?? await this.liveness();
    const isOrphan = process === "unknown" && this.handle.container?.by === "clauded";
    const behindWrapper = isOrphan && await this.terminalIsGone() ? await this.#behindWrapper() : null;
    let [registry, names] = [this.registry(), this.hooks.names()];
    let held = await this.#heldRequests(names);
    const deadline = this.deps.clock.now() + REQUEST_LAG_MS;
    while (isAboutToAsk(registry, held, names, this.deps.clock.now()) && this.deps.clock.now() < deadline) {
      await this.deps.clock.sleep(REQUEST_POLL_MS);
      [registry, names] = [this.registry(), this.hooks.names()];
      held = await this.#heldRequests(names);
    }
    const events = this.#recentEvents(names);
    const known = {
      at: this.deps.clock.now(),
      process,
      behindWrapper,
      registry,
      events,
      held,
      hooks: events.length > 0,
    };
    if (!options.all && registry !== null && saysAll(events) && held.length < 2) {
      return { ...known, marks: [], transcript: "present" };
    }
    const tail = tailMarks(this.transcript(registry, names), { maxBytes: TAIL_BYTES });
    return { ...known, marks: tail.marks, transcript: tail.size === 0 ? "missing" : "present" };
  }

  async liveness(): Promise<Liveness> {
    const { process } = this.session;
    if (process === null) return "unknown";
    const state = (await this.deps.processStates([process]))[0] ?? "unknown";
    if (state === "alive" || this.handle.container === undefined) return state;
    if (this.handle.container.by === "clauded") {
      return state === "dead" && await this.#behindWrapper() !== null ? "unknown" : state;
    }
    const { containerLiveness } = await import("./container_liveness.ts");
    return await containerLiveness(this.deps, this.handle.container, process);
  }

  /** In a container the agent outlives the terminal that it was started from; without it nothing can be typed. */
  async terminalIsGone(): Promise<boolean> {
    const { process } = this.session;
    const { container } = this.handle;
    if (process === null || container === undefined) return false;
    if ((await this.deps.processStates([process]))[0] !== "dead") return false;
    return container.by === "docker" || await this.#behindWrapper() !== null;
  }

  async #behindWrapper(): Promise<string | null> {
    const { namedBehindWrapper } = await import("./behind_wrapper.ts");
    return await namedBehindWrapper(this.deps, this.session);
  }

  registry(): RegistryEntry | null {
    const { process, agentSessionId } = this.session;
    const { configFolder, container } = this.handle;
    switch (container?.by) {
      case undefined:
        return process === null ? null : readRegistry(configFolder, process);
      case "docker":
        return container.agentPid === null
          ? findEntryIn(container.registry, agentSessionId ?? "")
          : readContainedEntry(container.registry, container.agentPid);
      case "clauded":
        return findRegistryEntry(configFolder, agentSessionId ?? "");
    }
  }

  /** The file that `registry()` reads, so far as its name is known. */
  registryFile(): string | null {
    const { container, configFolder } = this.handle;
    if (container === undefined) {
      const { process } = this.session;
      return process === null ? null : `${registryFolder(configFolder)}/${process.pid}.json`;
    }
    return container.by === "docker" && container.agentPid !== null
      ? `${container.registry}/${container.agentPid}.json`
      : null;
  }

  /** Where a conversation's transcript is, by our own computation; a wrapper's Claude may see its workspace elsewhere. */
  transcriptOf(conversation: string): string {
    const { container, configFolder, realPath } = this.handle;
    const usual = transcriptPath(configFolder, realPath, conversation);
    return container?.by === "clauded" ? findTranscript(configFolder, conversation, usual) : usual;
  }

  /**
   * The transcript of the conversation as it is now: `/clear` starts another one. A path that a hook names is used
   * only inside of Claude's own folder.
   */
  transcript(
    registry: RegistryEntry | null = this.registry(),
    names: readonly string[] = this.hooks.names(),
  ): string {
    const { configFolder } = this.handle;
    const { current, start } = this.#conversation(registry, names);
    const named = start?.body.transcript_path;
    if (named !== undefined && start?.body.session_id === current && isInsideProjects(configFolder, named)) {
      return named;
    }
    return this.transcriptOf(CONVERSATION_ID.test(current) ? current : "none");
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
      offset: sizeOf(transcript) ?? 0,
      at: this.deps.clock.now(),
      text: textKey,
    };
  }

  /** The anchor's transcript; where a wrapper's Claude keeps it is known once it is there. */
  transcriptAt({ transcript }: Pick<Anchor, "transcript">): string {
    const { container, configFolder } = this.handle;
    if (container?.by !== "clauded") return transcript;
    return findTranscript(configFolder, baseName(transcript).replace(/\.jsonl$/, ""), transcript);
  }

  /** What was recorded after the anchor; called again, it reads only what is new. */
  since(anchor: Anchor): { events: readonly HookEvent[]; marks: readonly Mark[] } {
    const kept = this.#sinceAnchor;
    const known = kept?.path === anchor.transcript && kept.from === anchor.offset
      ? kept
      : { path: anchor.transcript, from: anchor.offset, offset: anchor.offset, marks: [] };
    if (isInsideProjects(this.handle.configFolder, anchor.transcript)) {
      const read = readForwards(this.transcriptAt(anchor), known.offset, (mark) => {
        known.marks.push(mark);
        return "continue";
      });
      if (read.result === "read") known.offset = read.offset;
    }
    this.#sinceAnchor = known;
    return { events: this.hooks.since(anchor.event), marks: known.marks };
  }

  /** Those with a FIFO whose hook lives; one that was killed has left its FIFO behind. */
  async #heldRequests(events: readonly string[]): Promise<HookEvent[]> {
    const held: HookEvent[] = [];
    const recorded = new Set(events);
    // The FIFO is there before the event is.
    const asked = namesIn(this.#requests).filter((name) => recorded.has(`${name}.json`));
    for (const name of this.handle.container === undefined ? asked : asked.slice(-HELD_LIMIT)) {
      const pid = hookPid(name);
      if (pid === null) continue;
      const event = this.hooks.read(`${name}.json`);
      if (event !== null && await this.hookWaits(name)) held.push(event);
    }
    return held;
  }

  /** Whether the hook of this request lives; in a container its pid says nothing, but it holds its FIFO open. */
  async hookWaits(requestId: string): Promise<boolean> {
    if (this.handle.container !== undefined) return reachReader(`${this.#requests}/${requestId}`, null);
    const pid = hookPid(requestId);
    return pid !== null && await this.deps.identify(pid) !== null;
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

/** Of the process that holds a request open, as the request's id names it. */
function hookPid(requestId: string): number | null {
  const pid = Number(/^\d{19}-(\d+)\.PermissionRequest$/.exec(requestId)?.[1] ?? 0);
  return pid > 0 ? pid : null;
}

/** Sorted; empty for no folder, as in a session of an earlier version. */
function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Claude says that it waits, and starts the hook that says for what at the same time. */
function isAboutToAsk(
  registry: RegistryEntry | null,
  held: readonly HookEvent[],
  names: readonly string[],
  now: number,
): boolean {
  if (registry?.status !== "waiting" || held.length > 0 || names.length === 0) return false;
  const hasHook = registry.waitingFor === "permission prompt" || registry.waitingFor === "input needed";
  const age = now - registry.statusUpdatedAt;
  return hasHook && age >= 0 && age < REQUEST_LAG_MS;
}
