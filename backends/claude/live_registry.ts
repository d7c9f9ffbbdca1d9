/** Reads Claude's own live registry, `<config>/sessions/<pid>.json`, and believes it only for the same process. */

import * as v from "valibot";
import type { ProcessIdentity } from "../../lib/session.ts";
import { Allowance } from "../docker/allowance.ts";
import { readText, sharedFolderOf } from "../docker/shared_files.ts";

/** For a file that is being rewritten: microseconds, unless its writer is held up on a busy machine (seen: 0.1 s). */
const READ_PAUSES = 250;
const READ_PAUSE_MS = 2;
/** In one look at what a container writes, which may look half written for ever: all else stands still meanwhile. */
const SHARED_READ_PAUSES = 2;
/** Of a file that a container writes; an entry has a few hundred. */
const MAX_SHARED_BYTES = 16 * 1024;

const STATUSES = ["idle", "busy", "waiting", "shell"] as const;

/** Milliseconds since the epoch that a date can hold. */
const timestamp = v.pipe(v.number(), v.minValue(0), v.maxValue(8.64e15));

const EntrySchema = v.looseObject({
  pid: v.number(),
  sessionId: v.string(),
  procStart: v.optional(v.string()),
  version: v.optional(v.string()),
  status: v.optional(v.string()),
  waitingFor: v.optional(v.nullable(v.string())),
  statusUpdatedAt: v.optional(timestamp),
  updatedAt: v.optional(timestamp),
});

const ClaimSchema = v.looseObject({
  pid: v.number(),
  sessionId: v.string(),
  procStart: v.optional(v.string()),
});

export interface RegistryEntry {
  readonly pid: number;
  readonly sessionId: string;
  /** `idle`; `busy`; `waiting` for input; `shell`: idle while a background shell runs. */
  readonly status: (typeof STATUSES)[number];
  readonly waitingFor: string | null;
  /** Milliseconds since the epoch. */
  readonly statusUpdatedAt: number;
  readonly version: string | null;
  readonly procStart: string | null;
}

export function registryFolder(configFolder: string): string {
  return `${configFolder}/sessions`;
}

/** Null for anything that is not an entry with a status that we know. Pure. */
export function parseRegistryEntry(text: string): RegistryEntry | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = v.safeParse(EntrySchema, json);
  if (!parsed.success) return null;
  const entry = parsed.output;
  const status = STATUSES.find((known) => known === entry.status);
  if (status === undefined) return null;
  return {
    pid: entry.pid,
    sessionId: entry.sessionId,
    status,
    waitingFor: entry.waitingFor ?? null,
    statusUpdatedAt: entry.statusUpdatedAt ?? entry.updatedAt ?? 0,
    version: entry.version ?? null,
    procStart: entry.procStart ?? null,
  };
}

/** The entry of this very process; a stale file of an earlier process with the same pid is not it. */
export function readRegistry(configFolder: string, process: ProcessIdentity): RegistryEntry | null {
  const entry = new Look(registryFolder(configFolder)).entry(`${process.pid}.json`);
  if (entry === null || entry.pid !== process.pid) return null;
  return isOf(entry, process) ? entry : null;
}

/** The entry of a process in a container, whose pid says nothing outside of it. */
export function readContainedEntry(folder: string, pid: number): RegistryEntry | null {
  const entry = new Look(folder).entry(`${pid}.json`);
  return entry?.pid === pid ? entry : null;
}

/** Finds the entry of a session whose agent's pid is not known yet, e.g. behind a wrapper. */
export function findRegistryEntry(configFolder: string, sessionId: string): RegistryEntry | null {
  return findEntryIn(registryFolder(configFolder), sessionId);
}

/** As `findRegistryEntry`, of a folder that is a live registry by itself. */
export function findEntryIn(folder: string, sessionId: string): RegistryEntry | null {
  try {
    const look = new Look(folder, 0);
    for (const name of look.names()) {
      const entry = look.entry(name);
      if (entry?.sessionId === sessionId) return entry;
    }
  } catch {
    // No folder: a Claude without a live registry.
  }
  return null;
}

/** Whose word an entry is: enough to find the process, whatever it says of its state. */
export interface RegistryClaim {
  /** Its path. */
  readonly file: string;
  readonly pid: number;
  readonly procStart: string | null;
}

/** Every file that names this conversation; those of processes that are dead by now included. */
export function findRegistryClaims(configFolder: string, sessionId: string): RegistryClaim[] {
  const folder = registryFolder(configFolder);
  const claims: RegistryClaim[] = [];
  try {
    const look = new Look(folder);
    for (const name of look.names()) {
      const text = look.text(name);
      const claim = text === null ? null : parseClaim(text);
      if (claim?.sessionId !== sessionId) continue;
      claims.push({ file: `${folder}/${name}`, pid: claim.pid, procStart: claim.procStart ?? null });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return claims;
}

/** A status that we don't know does not make its process any less alive. */
function parseClaim(text: string): v.InferOutput<typeof ClaimSchema> | null {
  try {
    const parsed = v.safeParse(ClaimSchema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** Whether the entry is that of this very process, and not of an earlier one with its pid. */
export function isOf(claim: Pick<RegistryClaim, "pid" | "procStart">, process: ProcessIdentity): boolean {
  if (claim.pid !== process.pid) return false;
  return Deno.build.os !== "linux" || claim.procStart === null || claim.procStart === process.start;
}

/** One look at a live registry; what a container writes to is read as far as an `Allowance` goes. */
class Look {
  readonly #allowance: Allowance | null;

  /** @param pauses for each file, as long as it looks half written; in a container's folder, for all together. */
  constructor(private readonly folder: string, private pauses = READ_PAUSES) {
    this.#allowance = sharedFolderOf(`${folder}/`) === null ? null : new Allowance();
    if (this.#allowance !== null) this.pauses = Math.min(pauses, SHARED_READ_PAUSES);
  }

  *names(): Generator<string> {
    for (const { name } of Deno.readDirSync(this.folder)) {
      if (!/^\d+\.json$/.test(name)) continue;
      if (this.#allowance?.mayOpen() === false) return;
      yield name;
    }
  }

  entry(name: string): RegistryEntry | null {
    const text = this.text(name);
    return text === null ? null : parseRegistryEntry(text);
  }

  /**
   * Null when there is no such file. Claude rewrites it in place, so that a reader who was woken by it may find it empty
   * or half written.
   */
  text(name: string): string | null {
    for (let pauses = this.pauses;; pauses--) {
      let text: string;
      try {
        text = readText(`${this.folder}/${name}`, MAX_SHARED_BYTES);
      } catch {
        return null;
      }
      if (pauses <= 0 || text.trimEnd().endsWith("}")) {
        return (this.#allowance?.judge(text) ?? "light") === "light" ? text : null;
      }
      if (this.#allowance !== null) this.pauses--;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, READ_PAUSE_MS);
    }
  }
}
