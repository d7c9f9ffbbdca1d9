/**
 * Reads files in folders that a container can write to, as from an enemy: a link is not followed, a pipe never waited
 * for, nothing outside of the folder is ever read, and no file is larger than it may be.
 */

/** Of a transcript; what is larger is not read. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** Of one that is read at once, unless its reader says less. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/** It is there, but larger than its reader takes it. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
}

/** Known for the life of this process; a folder never stops being the container's. */
const shared = new Set<string>();

/** From now on, every file below this folder is read so, whoever asks for it. */
export function markShared(folder: string): void {
  shared.add(folder);
}

/** The shared folder that this path is in; null: none. */
export function sharedFolderOf(path: string): string | null {
  if (shared.size === 0) return null;
  for (const folder of shared) if (path.startsWith(`${folder}/`)) return folder;
  return null;
}

/**
 * Opens a file for reading; null when there is none, or when it is none that may be read.
 * @throws Error when that can't be told, e.g. with too many files open; so do all readers below.
 */
export function openShared(path: string, folder: string): Deno.FsFile | null {
  return withDescriptor(path, (fs, descriptor) => {
    const info = fs.fstatSync(descriptor);
    if (!info.isFile() || info.size > MAX_FILE_BYTES || !isInside(fs, descriptor, path, folder)) return null;
    // The very file that was checked, whatever its name stands for by now.
    return Deno.openSync(`/dev/fd/${descriptor}`);
  });
}

/**
 * The text of a small file; null as above. A file that grows meanwhile is not read further.
 * @throws TooLarge
 */
export function readSharedText(path: string, folder: string, maxBytes = MAX_TEXT_BYTES): string | null {
  using file = openShared(path, folder);
  if (file === null) return null;
  const { size } = file.statSync();
  if (size > maxBytes) throw new TooLarge(`larger than ${maxBytes} bytes: ${path}`);
  const bytes = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const count = file.readSync(bytes.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, filled));
}

/**
 * Reads as `Deno.readTextFileSync` does, but from a shared folder only what may be read.
 * @param maxBytes of a file in a shared folder.
 * @throws TooLarge
 */
export function readText(path: string, maxBytes = MAX_TEXT_BYTES): string {
  const folder = sharedFolderOf(path);
  if (folder === null) return Deno.readTextFileSync(path);
  const text = readSharedText(path, folder, maxBytes);
  if (text === null) throw new Deno.errors.NotFound(`no file that may be read: ${path}`);
  return text;
}

/** Whether somebody holds this FIFO open for reading; with a text, it is written to it. */
export function reachReader(path: string, text: string | null): boolean {
  return withDescriptor(path, (fs, descriptor) => {
    if (!fs.fstatSync(descriptor).isFIFO()) return null;
    if (text !== null) fs.writeSync(descriptor, text);
    return true;
  }, "write") ?? false;
}

type Fs = typeof import("node:fs");

/** Loaded here alone, and synchronously, since readers are. */
function nodeFs(): Fs {
  const { process } = globalThis as unknown as { process: { getBuiltinModule(name: "node:fs"): Fs } };
  return process.getBuiltinModule("node:fs");
}

function withDescriptor<T>(
  path: string,
  use: (fs: Fs, descriptor: number) => T | null,
  access: "read" | "write" = "read",
): T | null {
  const fs = nodeFs();
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
  let descriptor: number;
  try {
    // Neither follows a link, nor waits for the other end of a pipe.
    descriptor = fs.openSync(path, (access === "read" ? O_RDONLY : O_WRONLY) | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    return nullIfNone(error);
  }
  try {
    return use(fs, descriptor);
  } catch (error) {
    return nullIfNone(error);
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * What an error says of the file: not there, no file, a link, not to be read by us, or a pipe without its other end.
 * What says something of this machine (e.g. too many open files) is thrown on: it proves nothing of the file.
 */
function nullIfNone(error: unknown): null {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (typeof code === "string" && NONE.has(code)) return null;
  throw error;
}

const NONE: ReadonlySet<string> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
  "EACCES",
  "EPERM",
  "ENXIO",
  "EPIPE",
]);

/** Where the opened file really is: a folder on the way to it may be a link, too. */
function isInside(fs: Fs, descriptor: number, path: string, folder: string): boolean {
  const root = Deno.realPathSync(folder);
  const real = Deno.build.os === "linux"
    ? fs.readlinkSync(`/proc/self/fd/${descriptor}`)
    : Deno.realPathSync(path);
  return real.startsWith(`${root}/`);
}
