/**
 * Makes argument lists safe for the parser: a flag's value is a value whatever it looks like (`--agent-arg --add-dir`,
 * a text with line ends, an empty one), a flag that may stand alone has the next argument as its value unless that is a
 * flag, `-t60` is `-t 60`, and names of JavaScript's own objects are no flags.
 */

import type { Command, CommandContext } from "@stricli/core";
import { usageError } from "./verb.ts";

type Parameters = Command<CommandContext>["parameters"];

/** Names the parser would find in any object's prototype. */
const INHERITED = new Set(Object.getOwnPropertyNames(Object.prototype));

export interface PreparedArguments {
  readonly inputs: readonly string[];
  /** How many arguments are no flags. */
  readonly positionals: number;
}

/** @throws AppError (usage) for a flag that only looks known to the parser. */
export function prepareArguments(argv: readonly string[], parameters: Parameters): PreparedArguments {
  const inputs: string[] = [];
  let positionals = 0;
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    if (argument === "--") {
      inputs.push(...argv.slice(index));
      positionals += argv.length - index - 1;
      break;
    }
    const flag = valueFlag(argument, parameters);
    if (flag === null) {
      inputs.push(argument);
      if (!argument.startsWith("-") || argument === "-") positionals++;
      continue;
    }
    const next = argv[index + 1];
    if (flag.value === undefined && flag.mayBeAlone && (next === undefined || next.startsWith("-"))) {
      inputs.push(flag.name);
      continue;
    }
    const value = flag.value ?? argv[++index];
    if (value === "" && flag.mayBeAlone) throw usageError(`${flag.name} must not be empty`);
    inputs.push(...(value === undefined ? [flag.name] : spelled(flag.name, value)));
  }
  return { inputs, positionals };
}

/** Null unless the argument is a flag that takes a value; `value` when it is in the same argument. */
function valueFlag(argument: string, { flags = {}, aliases = {} }: Parameters) {
  const long = /^--([a-z][a-z0-9-]*)(?:=([\s\S]*))?$/i.exec(argument);
  const short = /^-([a-z])(?:=?([\s\S]+))?$/i.exec(argument);
  const name = long ? camelCase(long[1]!) : short ? own<string>(aliases, short[1]!) : undefined;
  if (name === undefined) return null;
  if (INHERITED.has(name)) throw usageError(`error: unknown option '--${long![1]}'`);
  const flag = own<{ readonly kind: string; readonly inferEmpty?: boolean }>(flags, name);
  if (flag?.kind !== "parsed" && flag?.kind !== "enum") return null;
  return { name: `--${kebabCase(name)}`, value: (long ?? short)![2], mayBeAlone: flag.inferEmpty === true };
}

/** The parser takes `--flag=value` only without line ends, and `--flag value` only when value looks like no flag. */
function spelled(name: string, value: string): string[] {
  return value.startsWith("-") && !/[\n\r\u2028\u2029]/.test(value) ? [`${name}=${value}`] : [name, value];
}

function own<T>(from: Readonly<Record<string, unknown>>, name: string): T | undefined {
  return Object.hasOwn(from, name) ? from[name] as T : undefined;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `readyTimeout` -> `ready-timeout` */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
