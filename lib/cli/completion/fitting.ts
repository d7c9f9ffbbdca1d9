/** What fits at the cursor, from the words before it and what a command declares. Pure. */

import { kebabCase } from "../arguments.ts";
import { groupName, offeredBy, sessionId, target } from "../parsers.ts";
import type { Parameters, Word } from "./types.ts";

export type Fitting =
  | { readonly kind: "words"; readonly words: readonly Word[] }
  | {
    readonly kind: "sessions";
    /** Whether `@group` fits, too. */
    readonly groups: boolean;
    /** Named already. */
    readonly except: readonly string[];
  }
  | { readonly kind: "groups" }
  | { readonly kind: "files" }
  | { readonly kind: "folders" }
  | { readonly kind: "nothing" };

export interface Fit {
  readonly fitting: Fitting;
  /** What of the word under the cursor stands before the part that is completed: `--cli=`, or nothing. */
  readonly prefix: string;
}

type Flag = NonNullable<Parameters["flags"]>[string];
/** What flags and positionals have in common, as far as it says what fits. */
interface Valued {
  readonly placeholder?: string | undefined;
  readonly parse?: unknown;
  readonly values?: readonly string[];
}

const NOTHING: Fitting = { kind: "nothing" };
const HELP: Word = { value: "--help", brief: "Print help" };
/** Placeholders of flags and arguments whose value is a path. */
const PATHS = new Set(["path", "file", "folder"]);
/** Names of flags that take a folder. */
const FOLDER_FLAG = /(?:^|-)(?:path|root|dir|folder)$/;

/**
 * @param words the command's own, before the cursor.
 * @param partial the word under the cursor, as far as it is typed; may be empty.
 */
export function fittingOf(words: readonly string[], partial: string, parameters: Parameters): Fit {
  const { pending, used, positionals, onlyPositionals } = scan(words, parameters);
  if (pending !== null && !(mayBeAlone(pending[1]) && partial.startsWith("-"))) {
    return { fitting: valueFitting(pending[0], pending[1]), prefix: "" };
  }
  const attached = onlyPositionals ? null : /^--([a-z][a-z0-9-]*)=/i.exec(partial);
  if (attached !== null) {
    const flag = flagNamed(attached[1]!, parameters);
    if (flag === null || !takesValue(flag[1])) return { fitting: NOTHING, prefix: "" };
    return { fitting: valueFitting(...flag), prefix: attached[0] };
  }
  if (!onlyPositionals && partial.startsWith("-")) {
    return { fitting: { kind: "words", words: flagWords(parameters, used, partial) }, prefix: "" };
  }
  const fitting = positionalFitting(positionals, parameters);
  if (fitting !== null) return { fitting, prefix: "" };
  const options = partial === "" && !onlyPositionals ? flagWords(parameters, used, "--") : [];
  return { fitting: { kind: "words", words: options }, prefix: "" };
}

interface Scanned {
  /** The flag whose value comes next. */
  readonly pending: readonly [name: string, flag: Flag] | null;
  readonly used: ReadonlySet<string>;
  readonly positionals: readonly string[];
  /** After `--`. */
  readonly onlyPositionals: boolean;
}

function scan(words: readonly string[], parameters: Parameters): Scanned {
  let pending: Scanned["pending"] = null;
  const used = new Set<string>();
  const positionals: string[] = [];
  for (const [index, word] of words.entries()) {
    if (pending !== null) {
      const alone = mayBeAlone(pending[1]) && word.startsWith("-");
      pending = null;
      if (!alone) continue;
    }
    if (word === "--") {
      positionals.push(...words.slice(index + 1));
      return { pending, used, positionals, onlyPositionals: true };
    }
    const [, long, short, rest = ""] = /^(?:--([a-z][a-z0-9-]*)|-([a-z]))([\s\S]*)$/i.exec(word) ?? [];
    const flag = long !== undefined
      ? flagNamed(long, parameters)
      : short !== undefined
      ? flagNamed(own<string>(parameters.aliases ?? {}, short) ?? "", parameters)
      : null;
    if (flag !== null) {
      used.add(flag[0]);
      if (takesValue(flag[1]) && rest === "") pending = flag;
    } else if (!word.startsWith("-") || word === "-") positionals.push(word);
  }
  return { pending, used, positionals, onlyPositionals: false };
}

function flagNamed(name: string, { flags = {} }: Parameters): readonly [string, Flag] | null {
  const found = Object.entries(flags).find(([key]) => key === name || kebabCase(key) === name);
  return found ?? null;
}

function takesValue(flag: Flag): boolean {
  return flag.kind === "parsed" || flag.kind === "enum";
}

function mayBeAlone(flag: Flag): boolean {
  return flag.kind === "parsed" && flag.inferEmpty === true;
}

function flagWords(
  { flags = {}, aliases = {} }: Parameters,
  used: ReadonlySet<string>,
  partial: string,
): Word[] {
  const offered = Object.entries(flags).filter(([key, flag]) => {
    const hidden = "hidden" in flag && flag.hidden === true;
    return !hidden && (!used.has(key) || ("variadic" in flag && Boolean(flag.variadic)));
  });
  const words = offered.map(([key, { brief }]) => ({ value: `--${kebabCase(key)}`, brief }));
  if (partial.startsWith("--")) return [...words, HELP];
  const shorts = Object.entries<string>(aliases as Record<string, string>).flatMap(([short, key]) => {
    const flag = offered.find(([name]) => name === key);
    return flag === undefined ? [] : [{ value: `-${short}`, brief: flag[1].brief }];
  });
  return [...words, HELP, ...shorts, { value: "-h", brief: HELP.brief }];
}

/** Null where the command takes no further arguments. */
function positionalFitting(given: readonly string[], { positional }: Parameters): Fitting | null {
  if (positional === undefined) return null;
  if (positional.kind === "tuple") {
    const parameter = positional.parameters[given.length];
    return parameter === undefined ? null : fittingValue("", parameter, []);
  }
  const { parameter, maximum } = positional;
  if (maximum !== undefined && given.length >= maximum) return null;
  // What takes any text after a session has the session in the first place only.
  if (!takesSessions(parameter) && parameter.placeholder === "id" && given.length > 0) return NOTHING;
  return fittingValue("", parameter, given);
}

function valueFitting(key: string, flag: Flag): Fitting {
  return fittingValue(kebabCase(key), flag as Valued, []);
}

/** The parser of a value says what fits, and its placeholder where any text would. */
function fittingValue(name: string, valued: Valued, given: readonly string[]): Fitting {
  const { placeholder = "", parse } = valued;
  const values = valued.values ?? offeredBy(parse);
  if (values !== null) return { kind: "words", words: values.map((value) => ({ value, brief: "" })) };
  if (parse === groupName) return { kind: "groups" };
  if (parse === target) return { kind: "sessions", groups: true, except: given };
  if (parse === sessionId || (placeholder === "id" && name === "")) {
    return { kind: "sessions", groups: false, except: given };
  }
  if (!PATHS.has(placeholder)) return NOTHING;
  return { kind: FOLDER_FLAG.test(name) ? "folders" : "files" };
}

function takesSessions({ parse }: Valued): boolean {
  return parse === target || parse === sessionId;
}

function own<T>(from: object, name: string): T | undefined {
  return Object.hasOwn(from, name) ? (from as Record<string, T>)[name] : undefined;
}
