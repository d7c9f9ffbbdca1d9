/** The master token's file: made once, private, never overwritten; what it holds now is what counts. */

import { AppError, messageOf } from "../lib/errors.ts";
import { hashToken, newMasterToken, parseToken } from "./tokens.ts";

const FILE_MODE = 0o600;
const GROUP_AND_OTHERS = 0o077;

/**
 * Makes the token where there is none; its folder must be there.
 *
 * @throws AppError when it can't be written, or when what is there can't be used.
 */
export async function ensureMasterToken(path: string): Promise<void> {
  if (statOrNull(path) === null) makeToken(path);
  const info = statOrNull(path);
  if (info === null) throw unusable(path, "it is gone again");
  if (!info.isFile) throw unusable(path, "it is no file");
  if (info.uid !== null && info.uid !== Deno.uid()) throw unusable(path, "it belongs to another user");
  try {
    if (info.mode !== null && (info.mode & GROUP_AND_OTHERS) !== 0) Deno.chmodSync(path, FILE_MODE);
    if (await hashOfFile(path) !== null) return;
  } catch (error) {
    throw unusable(path, messageOf(error));
  }
  throw unusable(path, "it holds no token. Remove it, and the next start makes a new one");
}

/** Under a name of its own first, so that nobody ever reads a part of it; linked, so that nothing is overwritten. */
function makeToken(path: string): void {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    const file = Deno.openSync(temporary, { write: true, createNew: true, mode: FILE_MODE });
    try {
      const bytes = new TextEncoder().encode(`${newMasterToken()}\n`);
      for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
      file.syncDataSync();
    } finally {
      file.close();
    }
    Deno.linkSync(temporary, path);
  } catch (error) {
    // Another gateway has just made it.
    if (!(error instanceof Deno.errors.AlreadyExists)) throw unusable(path, messageOf(error));
  } finally {
    removeIfThere(temporary);
  }
}

/** The hash of what the file holds at each look. */
export class MasterToken {
  #seen = "";
  #hash: Promise<string | null> = Promise.resolve(null);

  constructor(private readonly path: string, private readonly read: typeof readFile = readFile) {}

  /** Null where there is no token. @throws when the file can't be read now. */
  async hash(): Promise<string | null> {
    const version = this.version();
    if (version === null) return null;
    if (version !== this.#seen) {
      this.#seen = version;
      this.#hash = hashOfFile(this.path, this.read).catch((error) => {
        // It may be read the next time.
        if (this.#seen === version) this.#seen = "";
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      });
    }
    return await this.#hash;
  }

  /** Another one after the file was changed or replaced; null when there is none. @throws when that can't be told now. */
  version(): string | null {
    const info = statUnlessGone(this.path);
    return info?.isFile
      ? [info.ino, info.mtime?.getTime(), info.ctime?.getTime(), info.size].join(" ")
      : null;
  }
}

function readFile(path: string): Promise<string> {
  return Deno.readTextFile(path);
}

async function hashOfFile(path: string, read = readFile): Promise<string | null> {
  const text = (await read(path)).trim();
  return parseToken(text)?.kind === "master" ? await hashToken(text) : null;
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

function statUnlessGone(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was never made.
  }
}

function unusable(path: string, why: string): AppError {
  return new AppError("failure", `Cannot use the gateway's token "${path}": ${why}`);
}
