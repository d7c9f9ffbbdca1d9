/** The folder where dev-sessions keeps its state: there, private, writable, with room, on a file system that serves. */

import { type Paths, serverPaths } from "../paths.ts";
import { isOnNetworkFileSystem } from "../store/network_file_system.ts";
import { type Finding, type Found, note, ok, problem, repairable, warning, word } from "./finding.ts";
import type { World } from "./world.ts";

const TOOL_TIMEOUT_MS = 3_000;
const GROUP_AND_OTHERS = 0o077;
const OWNER = 0o700;
const MIB = 1024 * 1024;
/** The registry's log alone may take some. */
const LEAST_FREE_BYTES = 10 * MIB;
const FEW_FREE_BYTES = 200 * MIB;

/** What `stat` says of one path of ours. */
export interface Place {
  readonly path: string;
  readonly isFolder: boolean;
  readonly mode: number;
  readonly uid: number | null;
}

export interface FolderEvidence {
  readonly folder: string;
  /** What is there of it: the folder, else the home folder. */
  readonly at: string;
  /** The folder itself, null when there is none yet. */
  readonly state: Place | null;
  /** The private files and folders within it. */
  readonly within: readonly Place[];
  readonly uid: number | null;
  /** Of the folder, or of the home folder while there is none; null: can't be told. */
  readonly writable: boolean | null;
  /** Null: the file system did not say. */
  readonly freeBytes: number | null;
  readonly onNetwork: boolean;
}

export async function checkStateFolder(world: World): Promise<Found[]> {
  const evidence = await lookAtFolder(world);
  return judgeStateFolder(evidence).map((finding) => {
    const loose = looseOnes(evidence);
    if (finding.check !== "state-modes") return finding;
    return repairable(finding, "Take the rights of others away", () => {
      for (const { path, mode } of loose) Deno.chmodSync(path, mode & OWNER);
      return Promise.resolve(`made private: ${loose.map(({ path }) => path).join(", ")}`);
    });
  });
}

async function lookAtFolder({ deps, paths }: World): Promise<FolderEvidence> {
  const state = placeAt(paths.state);
  const at = state === null ? paths.home : paths.state;
  const options = { env: { ...deps.env, LC_ALL: "C" }, timeoutMs: TOOL_TIMEOUT_MS };
  const [access, space] = await Promise.all([
    deps.run("/bin/sh", ["-c", 'test -w "$1" && test -x "$1"', "sh", at], options),
    deps.run("df", ["-P", "-k", at], options),
  ]);
  return {
    folder: paths.state,
    at,
    state,
    within: privatePlaces(paths, serverPaths(deps.env).log).flatMap((path) => placeAt(path) ?? []),
    uid: Deno.uid(),
    writable: access.kind === "exited" ? access.code === 0 : null,
    freeBytes: space.kind === "exited" ? parseFreeBytes(space.stdout) : null,
    onNetwork: isOnNetworkFileSystem(at),
  };
}

/** What holds secrets of the sessions or of the user's environment. */
function privatePlaces({ sessions, database, events, locks }: Paths, serverLog: string): string[] {
  const databases = [database, events].flatMap((path) => [path, `${path}-wal`, `${path}-shm`]);
  return [...databases, locks, sessions, serverLog];
}

function placeAt(path: string): Place | null {
  try {
    const { isDirectory, mode, uid } = Deno.statSync(path);
    return { path, isFolder: isDirectory, mode: (mode ?? OWNER) & 0o777, uid };
  } catch {
    return null;
  }
}

/** The available column of `df -P -k`, in bytes; null for anything else. Pure. */
export function parseFreeBytes(text: string): number | null {
  const free = /\s\d+\s+\d+\s+(-?\d+)\s+\S+%?\s+\/.*$/.exec(text.trimEnd())?.[1];
  return free === undefined ? null : Number(free) * 1024;
}

function looseOnes({ state, within, uid }: FolderEvidence): Place[] {
  return [...(state === null ? [] : [state]), ...within].filter((place) =>
    (place.mode & GROUP_AND_OTHERS) !== 0 && (uid === null || place.uid === uid)
  );
}

/** Pure. */
export function judgeStateFolder(evidence: FolderEvidence): Finding[] {
  const { folder, at, state, uid, writable, freeBytes, onNetwork } = evidence;
  const findings: Finding[] = [];
  const where = state === null ? "your home folder" : folder;
  if (state !== null && !state.isFolder) {
    return [problem("state-folder", `${folder} is not a folder`, {
      why: "dev-sessions keeps its sessions there",
      fix: "Move it away",
    })];
  }
  if (state !== null && uid !== null && state.uid !== uid) {
    findings.push(problem("state-folder", `${folder} belongs to another user (${state.uid})`, {
      why: "what dev-sessions keeps there must be yours alone",
      fix: ["Make it yours", `sudo chown -R ${uid} ${word(folder)}`],
    }));
  }
  if (writable === false) {
    findings.push(problem("state-folder", `${where} can't be written`, {
      why: "its mode forbids it, or its file system is mounted read-only",
      fix: "Make it writable for you, or set HOME to a folder that is",
    }));
  }
  const loose = looseOnes(evidence);
  if (loose.length > 0) {
    const modes = loose.map(({ path, mode }) => `${path} (${mode.toString(8).padStart(4, "0")})`);
    findings.push(warning("state-modes", `others may read what is yours: ${modes.join(", ")}`, {
      why: "it holds messages of agents, and for a moment the environment they are started with",
    }));
  }
  if (freeBytes !== null && freeBytes < FEW_FREE_BYTES) {
    const what = `only ${Math.floor(freeBytes / MIB)} MiB are free in ${where}`;
    const details = {
      why: "registry and transcripts need room",
      fix: ["Free some space", `df -h ${word(at)}`],
    } as const;
    findings.push(
      freeBytes < LEAST_FREE_BYTES ? problem("disk", what, details) : warning("disk", what, details),
    );
  } else if (freeBytes === null) {
    findings.push(note("disk", `how much room ${where} has can't be told`, {
      why: "df gave no answer in time, or one of another form",
      fix: ["See whether its file system answers", `df -P ${word(at)}`],
    }));
  }
  if (onNetwork) {
    findings.push(note("file-system", `${where} is on a file system that several machines may share`, {
      why:
        "the registry then uses a rollback journal, which is slower; sessions of other machines show as unknown",
      fix: "Set HOME to a local folder for dev-sessions, if that is too slow",
    }));
  }
  if (findings.some(({ level }) => level === "problem")) return findings;
  return [
    ...findings,
    ok(
      "state-folder",
      state === null ? `${folder} will be made with the first session` : `${folder} is yours and writable`,
    ),
  ];
}
