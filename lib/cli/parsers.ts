/** Checks of single arguments and flags; each returns the value or throws a usage error that names the flag. */

import { isSessionId } from "../champion_ids.ts";
import { parseDuration } from "../duration.ts";
import type { Target } from "../groups.ts";
import type { SessionId } from "../session.ts";
import { isSshHost } from "../ssh_host.ts";
import { usageError } from "./verb.ts";

const GROUP = /^[A-Za-z0-9._-]{1,64}$/;
const MAX_KEY_LENGTH = 200;
const SECONDS_DETAIL = "It is in seconds and may have a fraction, e.g. 300 or 0.5";

/** @throws AppError (usage) for what can't be the id of a session. */
export function sessionId(input: string): SessionId {
  if (isSessionId(input)) return input;
  if (input.startsWith("@") && GROUP.test(input.slice(1))) {
    throw usageError(
      `Cannot use the group ${JSON.stringify(input)} here: name one session`,
      `List its sessions with: dev-sessions list --group ${input.slice(1)}`,
    );
  }
  throw usageError(
    `Invalid session id: ${JSON.stringify(input)}`,
    "List the sessions with: dev-sessions list --all",
  );
}

/** What the parsers of few values take. */
const OFFERED = new WeakMap<object, readonly string[]>();

/** The values that a parser takes; null when they can't be counted. */
export function offeredBy(parse: unknown): readonly string[] | null {
  return typeof parse === "function" ? OFFERED.get(parse) ?? null : null;
}

/** Tells completions which values a parser takes. */
export function offering<T>(values: readonly string[], parse: (input: string) => T): (input: string) => T {
  OFFERED.set(parse, values);
  return parse;
}

/** An id, or `@group` for all its sessions. @throws AppError (usage) for anything else. */
export function target(input: string): Target {
  if (!input.startsWith("@")) return { kind: "session", id: sessionId(input) };
  const group = input.slice(1);
  if (GROUP.test(group)) return { kind: "group", group };
  throw usageError(
    `Invalid group: ${JSON.stringify(input)}`,
    "A group is @ and its name, of 1 to 64 letters, digits, dots, underscores or dashes.\n" +
      "See the groups with: dev-sessions list --all",
  );
}

/** Parser of a flag in seconds, fractions included; returns milliseconds. */
export function milliseconds(flag: string, wanted = "a positive integer"): (input: string) => number {
  return (input) => {
    const value = /^\d*\.?\d+$/.test(input) ? Number(input) * 1000 : NaN;
    if (value > 0 && Number.isFinite(value)) return value;
    throw usageError(`${flag} must be ${wanted}`, SECONDS_DETAIL);
  };
}

/** Parser of a flag with few values; `known` ones that are not offered are told apart from nonsense. */
export function choice<const T extends string>(
  flag: string,
  offered: readonly T[],
  known: readonly string[],
): (input: string) => T {
  return offering(offered, (input) => {
    const found = offered.find((value) => value === input);
    if (found !== undefined) return found;
    if (known.includes(input)) {
      const only = offered.map((value) => `--${flag} ${value}`).join(" and ");
      const verb = offered.length === 1 ? "is" : "are";
      throw usageError(`--${flag} ${input} is not available in this version, only ${only} ${verb}`);
    }
    throw usageError(
      `error: option '--${flag} <${flag}>' argument '${input}' is invalid. Allowed choices are ${
        offered.join(", ")
      }.`,
    );
  });
}

/** Parser of a flag that counts. */
export function positiveInteger(flag: string): (input: string) => number {
  return (input) => {
    const value = /^\d+$/.test(input) ? Number(input) : NaN;
    if (value > 0 && Number.isSafeInteger(value)) return value;
    throw usageError(`${flag} must be a positive integer`);
  };
}

/** `30m`, `72h`, `7d` in milliseconds. */
export function age(input: string): number {
  const value = parseDuration(input);
  if (value !== null) return value;
  if (/^\d+[mhd]$/.test(input)) throw usageError("--older-than must be a positive duration");
  throw usageError("--older-than must be a duration like 30m, 72h, or 7d");
}

export function groupName(input: string): string {
  if (GROUP.test(input)) return input;
  throw usageError(
    "--group must be 1 to 64 letters, digits, dots, underscores or dashes",
    input.startsWith("@") ? "Name it without the @" : null,
  );
}

export function sshHost(input: string): string {
  if (isSshHost(input)) return input;
  throw usageError(`Invalid SSH host: ${input}`, "Give a name as ssh takes it: box, me@box.example");
}

export function key(input: string): string {
  if (input.trim() !== "" && input.length <= MAX_KEY_LENGTH) return input;
  throw usageError(`--key must be 1 to ${MAX_KEY_LENGTH} characters`);
}

/** A flag whose value may be anything but nothing. */
export function nonEmpty(flag: string): (input: string) => string {
  return (input) => {
    if (input.trim() !== "") return input;
    throw usageError(`${flag} must not be empty`);
  };
}

/** The agent may take one that begins with a dash for an option of its own. */
export function modelName(input: string): string {
  if (input.trim() !== "" && !input.startsWith("-")) return input;
  throw usageError("--model must be the name of a model", "Give the agent other arguments with --agent-arg");
}

export function anyText(input: string): string {
  return input;
}

/**
 * The session whose agent runs this command, if any.
 *
 * @throws AppError (usage) for a value that is no id, since a guess would widen what the agent may do.
 */
export function callingSession(env: Readonly<Record<string, string>>): SessionId | null {
  const id = env["DEV_SESSIONS_ID"] ?? "";
  if (id === "") return null;
  if (isSessionId(id)) return id;
  throw usageError(
    `DEV_SESSIONS_ID is not the id of a session: ${JSON.stringify(id)}`,
    "Unset it, or set it right",
  );
}
