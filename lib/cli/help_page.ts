/** A verb's page of help: how it is called, and which of its options take a value. Pure. */

import type { Command, CommandContext } from "@stricli/core";
import { kebabCase } from "./arguments.ts";

type Parameters = Command<CommandContext>["parameters"];

/** What the parser says of every switch, and how lists are split: it only makes the lines longer. */
const SAID_OF_ALL = / *\[(?:default = false|separator = ,)\]/g;
/** `  -f [--file]     Read it from a file`, in its columns. */
const OPTION_LINE = /^(\s+(?:-\w)?)(\s+)(\[?)--([\w-]+)(\]?(?:\.\.\.)?)(\s+)(\S.*)$/;
const FLAGS = "\nFLAGS\n";

/** As it stands behind the command: `<id>`, `[message]`, `<id...>`; `[id...]` where none need be named. */
export function positionalsOf({ positional }: Parameters): string[] {
  if (positional === undefined) return [];
  if (positional.kind === "array") {
    const { parameter: { placeholder }, minimum = 0 } = positional;
    return [minimum > 0 ? `<${placeholder}...>` : `[${placeholder}...]`];
  }
  return positional.parameters.map(({ placeholder, optional }) =>
    optional ? `[${placeholder}]` : `<${placeholder}>`
  );
}

/** What follows an option: ` <path>`, ` [branch]` where it may stand alone, nothing behind a switch. */
export function valueOf(flag: object, name: string): string {
  const { kind, placeholder = name, inferEmpty } = flag as {
    kind: string;
    placeholder?: string;
    inferEmpty?: unknown;
  };
  if (kind === "boolean") return "";
  return kind === "parsed" && inferEmpty ? ` [${placeholder}]` : ` <${placeholder}>`;
}

/** The parser's page with the whole call in its first line, and with what each option takes. */
export function helpPage(page: string, verb: string, parameters: Parameters): string {
  const call = `dev-sessions ${verb}`;
  const plain = page.replaceAll(SAID_OF_ALL, "").trimEnd()
    .replace(new RegExp(`^  ${call}(?: .*)?$`, "m"), `  ${[call, ...wordsOf(parameters)].join(" ")}`);
  const begin = plain.indexOf(FLAGS);
  if (begin === -1) return plain;
  const lines = plain.slice(begin + FLAGS.length).split("\n");
  const end = lines.indexOf("");
  const options = lines.slice(0, end === -1 ? lines.length : end);
  return `${plain.slice(0, begin)}${FLAGS}${
    [...withValues(options, parameters), ...lines.slice(options.length)].join("\n")
  }`;
}

function wordsOf(parameters: Parameters): string[] {
  const flags = Object.entries(parameters.flags ?? {});
  const required = flags.filter(([, flag]) =>
    flag.kind !== "boolean" && !flag.optional && !("default" in flag)
  );
  return [
    ...required.map(([key, flag]) => `--${kebabCase(key)}${valueOf(flag, key)}`),
    ...positionalsOf(parameters),
    ...(flags.length > required.length ? ["[options]"] : []),
  ];
}

function withValues(lines: readonly string[], { flags = {} }: Parameters): string[] {
  const byName = new Map(Object.entries(flags).map(([key, flag]) => [kebabCase(key), valueOf(flag, key)]));
  const parts = lines.map((line) => {
    const [, short = "", space = "", open = "", name = "", close = "", , brief = ""] =
      OPTION_LINE.exec(line) ?? [];
    return name === ""
      ? null
      : { head: `${short}${space}${open}--${name}${byName.get(name) ?? ""}${close}`, brief };
  });
  const width = Math.max(...parts.map((part) => part?.head.length ?? 0));
  return lines.map((line, index) => {
    const part = parts[index];
    if (part) return `${part.head.padEnd(width)}  ${part.brief}`;
    const [, rest, brief] = /^(\s+--)\s+(\S.*)$/.exec(line) ?? [];
    return rest === undefined ? line : `${rest.padEnd(width)}  ${brief}`;
  });
}
