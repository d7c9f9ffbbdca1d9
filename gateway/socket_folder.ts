/**
 * The folder of the gateway's unix socket: it can be mounted into containers as it is, since nothing else is in it, and
 * others can do nothing with it but connect.
 */

import { AppError, messageOf } from "../lib/errors.ts";

export const SOCKET_NAME = "gateway.sock";
const FOLDER_MODE = 0o711;
const SOCKET_MODE = 0o666;
/** Of a unix socket's path, in bytes, on every system. */
const MAX_SOCKET_PATH_BYTES = 103;

/**
 * Makes the folder where there is none.
 *
 * @returns the socket's path.
 * @throws AppError for a folder that is not ours, that holds anything else, or whose name is too long.
 */
export function prepareSocketFolder(folder: string): string {
  const socket = `${folder}/${SOCKET_NAME}`;
  const cannot = (why: string) =>
    new AppError(
      "failure",
      `Cannot use the folder "${folder}" for the gateway's socket: ${why}. Name another one with: ` +
        "dev-sessions gateway --socket-dir <path>",
    );
  if (new TextEncoder().encode(socket).length > MAX_SOCKET_PATH_BYTES) {
    throw cannot(`the socket's path would have more than ${MAX_SOCKET_PATH_BYTES} bytes`);
  }
  try {
    try {
      Deno.mkdirSync(folder, { mode: FOLDER_MODE });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const info = Deno.lstatSync(folder);
    if (!info.isDirectory) throw cannot("it is no folder");
    if (info.uid !== null && info.uid !== Deno.uid()) throw cannot("it belongs to another user");
    const others = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
      name !== SOCKET_NAME
    );
    const [first] = others;
    if (first !== undefined) throw cannot(`it must hold nothing else, and it holds "${first}"`);
    Deno.chmodSync(folder, FOLDER_MODE);
  } catch (error) {
    throw error instanceof AppError ? error : cannot(messageOf(error));
  }
  return socket;
}

/**
 * Removes the socket that a gateway has left which was killed.
 *
 * @throws AppError when somebody answers there, or when it is no socket of ours.
 */
export async function removeStaleSocket(socket: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(socket);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new AppError("failure", `Cannot listen on "${socket}": ${messageOf(error)}`);
  }
  if (!info.isSocket) {
    throw new AppError("failure", `Cannot listen on "${socket}": it is no socket. Remove it`);
  }
  if (await isAnswered(socket)) {
    throw new AppError(
      "failure",
      `Cannot listen on "${socket}": another gateway does. Stop it, or name another folder with: ` +
        "dev-sessions gateway --socket-dir <path>",
    );
  }
  Deno.removeSync(socket);
}

/** Whoever may reach the folder may connect; what they may do, their token says. */
export function openSocketToAll(socket: string): void {
  Deno.chmodSync(socket, SOCKET_MODE);
}

/** Anything but a proven "nobody listens" counts as an answer. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound);
  }
}
