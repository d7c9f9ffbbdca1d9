/** Which app-servers we started, so that a later command can prove that a process is that very one. */

import * as v from "valibot";
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

const metadata = v.object({
  version: v.literal(2),
  servers: v.array(startedServer),
  legacy: v.nullable(legacyServer),
});
export type Metadata = v.InferOutput<typeof metadata>;

const NOTHING: Metadata = { version: 2, servers: [], legacy: null };

/** A file that is missing or can't be read proves nothing. */
export async function readMetadata(path: string): Promise<Metadata> {
  try {
    return parseMetadata(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return NOTHING;
    throw error;
  }
}

/** Pure. */
export function parseMetadata(text: string): Metadata {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return NOTHING;
  }
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
