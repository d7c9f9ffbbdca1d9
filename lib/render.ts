/**
 * Fills the placeholders of a message's template: each value stands as it is and is not looked at again, and a
 * placeholder that is unknown or has no value makes the whole template fail. Pure.
 */

import { AppError } from "./errors.ts";
import { MESSAGE_LIMIT_BYTES } from "./message_text.ts";

/** What a placeholder can stand for, beside `var.NAME`. */
const PLACEHOLDERS = [
  "session.id",
  "session.path",
  "session.group",
  "parent.id",
  "git.branch",
  "git.head",
  "date",
] as const;
export type Placeholder = typeof PLACEHOLDERS[number];

/** A value, or why there is none. */
export type Value = { readonly value: string } | { readonly missing: string };

export type Values = Readonly<Record<Placeholder, Value>>;

/** `\{{`, or what stands between braces on one line, or braces that are not closed there. */
const TOKEN = /\\\{\{|\{\{(?:([^\n]*?)\}\})?/g;
const VARIABLE = /^var\.([\s\S]*)$/;
/** Of `{{var.NAME}}`. */
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

interface Use {
  readonly name: string;
  readonly line: number;
}

/**
 * The names that a template uses, in order; those of variables are checked here.
 *
 * @throws AppError (usage) for what is no placeholder, for a variable without a value, and for one that is not used.
 */
export function checkTemplate(template: string, vars: Readonly<Record<string, string>>): Placeholder[] {
  const used = new Set<Placeholder>();
  const unused = new Set(Object.keys(vars));
  fill(template, (use) => {
    const variable = VARIABLE.exec(use.name)?.[1];
    if (variable === undefined) {
      used.add(known(use));
    } else {
      variableOf(use, variable, vars);
      unused.delete(variable);
    }
    return "";
  });
  const [first] = unused;
  if (first !== undefined) {
    throw new AppError("usage", `Cannot render the message: it has no {{var.${first}}} for --var ${first}`);
  }
  return [...used];
}

/** @throws AppError (usage) that names the placeholder and its line; for what would be too long to be sent. */
export function render(template: string, values: Values, vars: Readonly<Record<string, string>>): string {
  let filled = 0;
  return fill(template, (use) => {
    const value = valueOf(use, values, vars);
    // A value may be used many times: what can't be sent is not made first. A character has a byte at least.
    filled += value.length;
    if (filled <= MESSAGE_LIMIT_BYTES) return value;
    throw new AppError(
      "usage",
      `Cannot render the message: with its values it is longer than ${MESSAGE_LIMIT_BYTES} bytes (1 MB), the limit of ` +
        "a message. Save what is long to a file in the workspace and send the path",
    );
  });
}

function valueOf(use: Use, values: Values, vars: Readonly<Record<string, string>>): string {
  const variable = VARIABLE.exec(use.name)?.[1];
  if (variable !== undefined) return variableOf(use, variable, vars);
  const found = values[known(use)];
  if ("value" in found) return found.value;
  throw cannot(use, `has no value here: ${found.missing}`);
}

function fill(template: string, fillIn: (use: Use) => string): string {
  let [line, counted] = [1, 0];
  return template.replace(TOKEN, (token, name: string | undefined, offset: number) => {
    if (token.startsWith("\\")) return "{{";
    line += template.slice(counted, offset).split("\n").length - 1;
    counted = offset;
    if (name === undefined) {
      throw new AppError(
        "usage",
        `Cannot render the message: {{ on line ${line} is not closed by }} on that line. Write \\{{ for the braces alone`,
      );
    }
    return fillIn({ name: name.trim(), line });
  });
}

function known(use: Use): Placeholder {
  const found = PLACEHOLDERS.find((name) => name === use.name);
  if (found !== undefined) return found;
  throw cannot(
    use,
    `is unknown. Known are ${PLACEHOLDERS.join(", ")} and var.NAME; write \\{{ for the braces alone`,
  );
}

function variableOf(use: Use, name: string, vars: Readonly<Record<string, string>>): string {
  if (Object.hasOwn(vars, name)) return vars[name]!;
  throw cannot(
    use,
    VARIABLE_NAME.test(name)
      ? `has no value here. Give it one with: --var ${name}=...`
      : "is no name of a variable",
  );
}

function cannot({ name, line }: Use, why: string): AppError {
  return new AppError("usage", `Cannot render the message: {{${name}}} on line ${line} ${why}`);
}
