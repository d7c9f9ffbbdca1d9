/** The environment variables by which a command in a container speaks to the gateway of its host, and nothing else reads them. */

import { AppError, messageOf } from "./errors.ts";
import { isPlainAbsolute, withoutTrailingSlash } from "./posix_path.ts";

type Env = Readonly<Record<string, string>>;

export const DEFAULT_GATEWAY_URL = "http://host.docker.internal:6767";
const DEFAULT_CONTAINER_WORKSPACE = "/workspace";
const MAX_TOKEN_BYTES = 4_096;
/** Of a unix socket's path, with the NUL at its end. Source: `sun_path` in unix(7). */
const MAX_SOCKET_PATH_BYTES = 108;

/** Where the gateway listens. */
export type GatewayAddress =
  | { readonly kind: "http"; readonly url: string; readonly hostname: string; readonly port: number }
  | { readonly kind: "https"; readonly url: string; readonly hostname: string }
  | { readonly kind: "unix"; readonly url: string; readonly path: string };

export interface ClientSettings {
  readonly address: GatewayAddress;
  /** Null: none is sent. */
  readonly token: string | null;
  readonly paths: PathMap;
}

/** The same folder seen from the host and from the container; `host` is null where that is not known. */
export interface PathMap {
  readonly host: string | null;
  readonly container: string;
}

/**
 * Whether commands are carried out by a gateway: `DEV_SESSIONS_SANDBOX=1`, or `IS_SANDBOX=1` where
 * `DEV_SESSIONS_GATEWAY_URL` is set; `DEV_SESSIONS_SANDBOX=0` switches it off. `IS_SANDBOX` is set by others, too, who
 * may give it any value.
 *
 * @throws AppError (usage) for another value of `DEV_SESSIONS_SANDBOX`: whoever set it meant one of the two.
 */
export function isClientMode(env: Env): boolean {
  const switched = env["DEV_SESSIONS_SANDBOX"] ?? "";
  switch (switched) {
    case "1":
      return true;
    case "0":
      return false;
    case "":
      return env["IS_SANDBOX"] === "1" && (env["DEV_SESSIONS_GATEWAY_URL"] ?? "") !== "";
  }
  throw new AppError(
    "usage",
    `Cannot use DEV_SESSIONS_SANDBOX=${JSON.stringify(switched)}: it must be 1 or 0`,
    "1: commands go to the gateway of the host; 0: to the sessions of this machine. Set it to one of them, or unset it",
  );
}

/**
 * For a command that only the host can carry out.
 *
 * @param what it does, as in "Cannot ...".
 * @param why it is the host's alone.
 * @param command its words, for the host.
 * @throws AppError in client mode.
 */
export function assertOnHost(
  env: Env,
  { what, why, command }: { readonly what: string; readonly why: string; readonly command: string },
): void {
  if (!isClientMode(env)) return;
  throw new AppError(
    "failure",
    `Cannot ${what} in a container: ${why}. On the host, run: dev-sessions ${command}`,
  );
}

/** The workspace of a `create` that names none: in a container what is mounted from `HOST_PATH`, else where it runs. */
export function usualWorkspace(env: Env): string {
  return isClientMode(env) && (env["HOST_PATH"] ?? "") !== "" ? pathMap(env).container : ".";
}

/** @throws AppError (usage) for a variable that can't be used, and when the token's file can't be read. */
export async function clientSettings(env: Env): Promise<ClientSettings> {
  return { address: gatewayAddress(env), token: await token(env), paths: pathMap(env) };
}

/** From `DEV_SESSIONS_GATEWAY_URL`. @throws AppError (usage) */
export function gatewayAddress(env: Env): GatewayAddress {
  const given = withoutTrailingSlash((env["DEV_SESSIONS_GATEWAY_URL"] ?? "").trim()) || DEFAULT_GATEWAY_URL;
  const socket = /^unix:(?:\/\/)?(\/[\s\S]*)$/.exec(given)?.[1];
  if (socket !== undefined) return { kind: "unix", url: given, path: socketPath(socket, given) };
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw unusable(given, "it is neither http://<host>:<port> nor unix://<path>");
  }
  if (url.username !== "" || url.password !== "") {
    throw unusable(
      withoutCredentials(url),
      "it holds a user or password; give the token alone in DEV_SESSIONS_GATEWAY_TOKEN",
    );
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw unusable(given, "it has more than a host and a port");
  }
  if (url.protocol === "https:") return { kind: "https", url: url.origin, hostname: url.hostname };
  return { kind: "http", url: url.origin, hostname: url.hostname, port: Number(url.port || "80") };
}

/** From `HOST_PATH` and `CONTAINER_WORKSPACE`. @throws AppError (usage) */
export function pathMap(env: Env): PathMap {
  const folder = (name: string, given: string): string => {
    const path = withoutTrailingSlash(given) || "/";
    if (path === "/" || isPlainAbsolute(path)) return path;
    throw new AppError("usage", `Cannot use ${name}=${JSON.stringify(given)}: it must be an absolute path`);
  };
  const host = env["HOST_PATH"] ?? "";
  const container = env["CONTAINER_WORKSPACE"] || DEFAULT_CONTAINER_WORKSPACE;
  return {
    host: host === "" ? null : folder("HOST_PATH", host),
    container: folder("CONTAINER_WORKSPACE", container),
  };
}

/** From `DEV_SESSIONS_GATEWAY_TOKEN`, else from the file that `DEV_SESSIONS_GATEWAY_TOKEN_FILE` names. */
async function token(env: Env): Promise<string | null> {
  const given = (env["DEV_SESSIONS_GATEWAY_TOKEN"] ?? "").trim();
  if (given !== "") return checkedToken(given, "DEV_SESSIONS_GATEWAY_TOKEN");
  const file = env["DEV_SESSIONS_GATEWAY_TOKEN_FILE"] ?? "";
  if (file === "") return null;
  const name = `the file ${JSON.stringify(file)} of DEV_SESSIONS_GATEWAY_TOKEN_FILE`;
  let text: string;
  try {
    const { size, isFile } = await Deno.stat(file);
    if (!isFile || size > MAX_TOKEN_BYTES) throw new Error("it is no file with a token");
    text = (await Deno.readTextFile(file)).trim();
  } catch (error) {
    throw new AppError("refused", `Cannot read the gateway's token from ${name}: ${reasonOf(error)}`);
  }
  if (text === "") throw new AppError("refused", `Cannot use ${name}: it is empty. Write the token into it`);
  return checkedToken(text, name);
}

/** A header can hold nothing else. */
function checkedToken(token: string, where: string): string {
  if (/^[\x21-\x7e]+$/.test(token) && token.length <= MAX_TOKEN_BYTES) return token;
  throw new AppError(
    "refused",
    `Cannot use the token in ${where}: it holds white space or other characters that no token has`,
  );
}

function socketPath(path: string, url: string): string {
  if (new TextEncoder().encode(path).length >= MAX_SOCKET_PATH_BYTES) {
    throw unusable(url, `the path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES - 1} bytes`);
  }
  return path;
}

function unusable(url: string, why: string): AppError {
  return new AppError(
    "usage",
    `Cannot use DEV_SESSIONS_GATEWAY_URL=${JSON.stringify(url)}: ${why}`,
    `Examples: ${DEFAULT_GATEWAY_URL}, unix:///run/dev-sessions/gateway.sock`,
  );
}

function withoutCredentials(url: URL): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return shown.href;
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
    return "there is no such file";
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return messageOf(error);
}
