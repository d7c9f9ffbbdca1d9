/** What a service manager is told of the gateway, whichever one it is; free of effects. */

import { PLACE_NAMES } from "../../lib/engine_place.ts";
import { DRAIN_MS, ROLL_BACK_MS } from "../drain_times.ts";

/** What is to be run, and with what. */
export interface ServiceSpec {
  /** Absolute path of a program. */
  readonly command: string;
  /** What starts dev-sessions again, before `gateway` and its options. */
  readonly args: readonly string[];
  readonly port: number;
  /** Further options of `gateway`, as it takes them. */
  readonly options: readonly string[];
  /** The complete set of variables beyond what the service manager gives. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of the file that gets what the gateway prints. */
  readonly log: string;
}

/** For closing what is open, beyond the requests. */
const CLOSE_MS = 5_000;
/** Seconds in which a gateway that was asked to stop ends by itself; later it is killed. */
export const STOP_SECONDS = (DRAIN_MS + ROLL_BACK_MS + CLOSE_MS) / 1000;
export const RESTART_PAUSE_SECONDS = 1;

/** @returns the arguments of the program, from the first one on. */
export function gatewayArguments({ args, port, options }: ServiceSpec): string[] {
  return [...args, "gateway", "--port", String(port), ...options];
}

/** The port in a definition that we or 0.4.4 wrote; null where someone has changed it. */
export function portIn(definition: string): number | null {
  const words = definition.replaceAll(/<\/?(?:string|array|key)>|["\s]+/g, " ").replaceAll(/ +/g, " ");
  const match = / gateway --port (\d{1,5})(?!\d)/.exec(words);
  return match === null ? null : Number(match[1]);
}

/** Variables that decide where a gateway finds programs, sessions and agents; taken from whoever installs it. */
const CAPTURED = [
  "PATH",
  "LANG",
  "LC_ALL",
  "SHELL",
  "TMUX_TMPDIR",
  "CLAUDE_CONFIG_DIR",
  "CODEX_HOME",
  "DEV_SESSIONS_CODEX_URL",
  "DEV_SESSIONS_CODEX_TOKEN_FILE",
  ...PLACE_NAMES,
];

/**
 * @param names of further variables that the user wants to be passed on.
 * @returns what the gateway's environment is to have; names that are not set are in `missing`.
 */
export function capturedEnvironment(
  env: Readonly<Record<string, string>>,
  names: readonly string[],
  port: number,
): { readonly env: Record<string, string>; readonly missing: readonly string[] } {
  const captured: Record<string, string> = { DEV_SESSIONS_GATEWAY_PORT: String(port) };
  for (const name of [...CAPTURED, ...names]) {
    const value = env[name];
    if (value !== undefined && value !== "") captured[name] = value;
  }
  return { env: captured, missing: names.filter((name) => captured[name] === undefined) };
}

/** A text that no definition can carry: it would end its line. */
export function hasControlCharacter(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return /[\x00-\x1f\x7f]/.test(text);
}
