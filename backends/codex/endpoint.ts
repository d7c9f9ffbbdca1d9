/** Where an app-server listens, and whether what stands there may be trusted before anything is sent to it. */

import { AppError } from "../../lib/errors.ts";
import { folderOf, isPlainAbsolute } from "../../lib/posix_path.ts";
import { readBounded } from "../../lib/read_bounded.ts";

export type Endpoint =
  /** Absolute, without a symlink at its end. */
  | { readonly kind: "unix"; readonly path: string }
  /** `token`: for the Authorization header; never printed. */
  | { readonly kind: "ws"; readonly url: string; readonly token: string | null };

type Env = Readonly<Record<string, string>>;

export const URL_NAME = "DEV_SESSIONS_CODEX_URL";
export const TOKEN_NAME = "DEV_SESSIONS_CODEX_TOKEN_FILE";
const TOKEN_LIMIT_BYTES = 4096;
/** Writable for group or others. */
const FOREIGN_WRITE = 0o022;
/** Entries of such a folder can be replaced by their owner only. */
const STICKY = 0o1000;
const FOREIGN_ANY = 0o077;

/** For people; never with a token. */
export function describeEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === "unix" ? `unix://${endpoint.path}` : endpoint.url;
}

/**
 * The server that the user's own environment names; null when it names none.
 * @throws AppError when the address or the token's file is unfit.
 */
export async function configuredEndpoint(env: Env): Promise<Endpoint | null> {
  const [url, tokenFile] = [env[URL_NAME] ?? "", env[TOKEN_NAME] ?? ""];
  if (url === "") return null;
  const parsed = parseEndpoint(url);
  if (parsed === null) {
    throw new AppError(
      "usage",
      `Cannot use the Codex server of ${URL_NAME}: its address is neither ws://HOST:PORT nor unix:///PATH`,
    );
  }
  if (parsed.kind === "unix") {
    if (tokenFile === "") return parsed;
    throw new AppError("usage", `Cannot use ${TOKEN_NAME}: a unix socket takes no token. Unset it`);
  }
  return { ...parsed, token: tokenFile === "" ? null : await readToken(tokenFile) };
}

/** Pure; null when it is no address of this kind. Parts that could hide a token or mean nothing are refused. */
export function parseEndpoint(text: string): Endpoint | null {
  const path = /^unix:\/\/(\/.*)$/s.exec(text)?.[1];
  if (path !== undefined) return isPlainAbsolute(path) ? { kind: "unix", path } : null;
  if (!/^wss?:\/\/[^/]/.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const extra = url.username + url.password + url.search + url.hash;
  return extra === "" && url.hostname !== "" ? { kind: "ws", url: url.href, token: null } : null;
}

/** @throws AppError unless it is a file of ours that nobody else may read. */
async function readToken(path: string): Promise<string> {
  const cannot = (why: string) => new AppError("usage", `Cannot use the token in "${path}": ${why}`);
  let text: string;
  try {
    using file = await Deno.open(path);
    const { isFile, uid, mode } = await file.stat();
    if (!isFile) throw cannot("it is not a file");
    if (uid !== Deno.uid()) throw cannot("the file belongs to another user");
    if (((mode ?? 0) & FOREIGN_ANY) !== 0) {
      throw cannot(`others may read the file. Protect it with: chmod 600 ${path}`);
    }
    text = new TextDecoder().decode(await readBounded(file, TOKEN_LIMIT_BYTES + 1)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw cannot("there is no such file");
    if (error instanceof Deno.errors.PermissionDenied) throw cannot("you may not read the file");
    throw error;
  }
  if (!/^[\x21-\x7e]+$/.test(text) || text.length > TOKEN_LIMIT_BYTES) {
    throw cannot("the file holds not just one line with a token");
  }
  return text;
}

/** What `lstat` says of one path. */
export interface Entry {
  readonly kind: "socket" | "symlink" | "folder" | "other";
  readonly uid: number | null;
  readonly mode: number;
}
/** Null when there is nothing. */
export type Look = (path: string) => Entry | null;

/**
 * The socket behind a path: null when nothing is there. Link and socket must be ours, and their folders such that
 * nobody else can put another one there: Codex's own link leads into the shared /tmp.
 * @throws AppError when somebody else could have put it there.
 */
export function trustedSocket(
  path: string,
  uid: number | null,
  look: Look = lookAt,
  readLink: (path: string) => string | null = linkAt,
): Endpoint | null {
  const found = look(path);
  if (found === null) return null;
  const refuse = (what: string, why: string) =>
    new AppError("refused", `Cannot trust the Codex server at "${path}": ${what} ${why}`);
  const check = (what: string, entry: Entry | null) => {
    if (entry === null) return;
    const isFolder = entry.kind === "folder";
    if (entry.uid !== uid && !(isFolder && entry.uid === 0)) throw refuse(what, "belongs to another user");
    if (isFolder && (entry.mode & FOREIGN_WRITE) !== 0 && (entry.mode & STICKY) === 0) {
      throw refuse(what, "can be written by other users");
    }
  };
  check("its folder", look(folderOf(path)));
  check("it", found);
  if (found.kind === "socket") return { kind: "unix", path };
  if (found.kind !== "symlink") throw refuse("it", "is not a socket");
  const target = readLink(path);
  if (target === null) return null;
  if (!isPlainAbsolute(target)) throw refuse("its link", `leads to "${target}"`);
  const folder = look(folderOf(target));
  if (folder !== null && folder.kind !== "folder") throw refuse(`"${folderOf(target)}"`, "is not a folder");
  check(`"${folderOf(target)}"`, folder);
  const socket = look(target);
  if (socket === null) return null;
  check(`"${target}"`, socket);
  if (socket.kind !== "socket") throw refuse(`"${target}"`, "is not a socket");
  return { kind: "unix", path: target };
}

/** Null when it has just been taken away, by a server that begins or ends. */
function linkAt(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function lookAt(path: string): Entry | null {
  try {
    const { isSymlink, isSocket, isDirectory, uid, mode } = Deno.lstatSync(path);
    const kind = isSymlink ? "symlink" : isSocket ? "socket" : isDirectory ? "folder" : "other";
    return { kind, uid, mode: mode ?? 0 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    // As inside of a sandbox, which may keep even its own user from it.
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new AppError(
        "refused",
        `Cannot look at the Codex server at "${path}": permission denied. In a sandbox, run this command outside of it`,
      );
    }
    throw error;
  }
}
