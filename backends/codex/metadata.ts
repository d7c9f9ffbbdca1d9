/** Which app-servers we started, so that a later command can prove that a process is that very one. */

import * as v from "valibot";
import { AppError } from "../../lib/errors.ts";
import type { ProcessIdentity } from "../../lib/session.ts";

const processIdentity = v.object({
  pid: v.number(),
  start: v.string(),
  boot: v.string(),
  machine: v.string(),
}) satisfies v.GenericSchema<ProcessIdentity>;

const startedServer = v.object({
  /** Absolute. */
  codexHome: v.string(),
  socket: v.string(),
  process: processIdentity,
  /** Null until it has answered. */
  version: v.nullable(v.string()),
  /** Who started it, for people. */
  startedBy: v.string(),
  /** ISO 8601, UTC. */
  startedAt: v.string(),
});
export type StartedServer = v.InferOutput<typeof startedServer>;

/** What 0.4.4 wrote of its only server. */
const legacyServer = v.looseObject({ version: v.literal(1), pid: v.number(), url: v.string() });
export type LegacyServer = v.InferOutput<typeof legacyServer>;

/** Of this file's form. */
const VERSION = 2;

const metadata = v.object({
  version: v.literal(VERSION),
  servers: v.array(startedServer),
  legacy: v.nullable(legacyServer),
});
export type Metadata = v.InferOutput<typeof metadata>;

const newerFile = v.looseObject({ version: v.pipe(v.number(), v.gtValue(VERSION)) });

const NOTHING: Metadata = { version: VERSION, servers: [], legacy: null };

/** A file that is missing, or of another form, proves nothing. @throws the system's error when it can't be read. */
export async function readMetadata(path: string): Promise<Metadata> {
  return parseMetadata(await textOf(path));
}

/**
 * As `readMetadata()`, for who is going to write it. Hold the lock.
 * @throws AppError for the file of a newer version, whose servers would be forgotten; as `readMetadata()`.
 */
export async function readMetadataToWrite(path: string): Promise<Metadata> {
  const text = await textOf(path);
  const newer = newerVersion(text);
  if (newer === null) return parseMetadata(text);
  throw new AppError(
    "failure",
    `Cannot start the Codex server: "${path}" was written by a newer dev-sessions (its form is ${newer}, ` +
      `this version knows ${VERSION}). Update this one with: dev-sessions upgrade`,
  );
}

async function textOf(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Null where it is ours, older, or none at all. Pure. */
export function newerVersion(text: string): number | null {
  const newer = v.safeParse(newerFile, parseJson(text));
  return newer.success ? newer.output.version : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Pure. */
export function parseMetadata(text: string): Metadata {
  const json = parseJson(text);
  const ours = v.safeParse(metadata, json);
  if (ours.success) return ours.output;
  const legacy = v.safeParse(legacyServer, json);
  return legacy.success ? { ...NOTHING, legacy: legacy.output } : NOTHING;
}

/** Pure: the server takes the place of an earlier one of the same CODEX_HOME; null only removes that. */
export function withServer(before: Metadata, codexHome: string, server: StartedServer | null): Metadata {
  const others = before.servers.filter((other) => other.codexHome !== codexHome);
  return { ...before, servers: server === null ? others : [...others, server] };
}

/** Mode 0600, all or nothing. Hold the lock. */
export async function writeMetadata(path: string, content: Metadata): Promise<void> {
  const partial = `${path}.partial`;
  await Deno.remove(partial).catch(() => {});
  await Deno.writeTextFile(partial, JSON.stringify(content, null, 2) + "\n", {
    mode: 0o600,
    createNew: true,
  });
  await Deno.rename(partial, path);
}
