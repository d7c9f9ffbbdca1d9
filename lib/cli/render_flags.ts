/** `--render` and `--var`, as `send`, `ask` and `create` have them. */

import { VARIABLE_NAME } from "../render.ts";
import type { RenderRequest } from "../service.ts";
import { usageError } from "./verb.ts";

export interface RenderFlags {
  readonly render: boolean;
  readonly var: readonly Variable[] | undefined;
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

export const RENDER_FLAGS = {
  render: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Fill {{session.id}}, {{var.NAME}} and others in the message",
  },
  var: {
    kind: "parsed",
    parse: variable,
    optional: true,
    variadic: true,
    brief: "Value of {{var.NAME}}; repeatable",
    placeholder: "NAME=value",
  },
} as const;

/** Null without `--render`. @throws AppError (usage) for variables that nothing would use, and for two of one name. */
export function renderRequest(flags: RenderFlags): RenderRequest | null {
  const given = flags.var ?? [];
  if (!flags.render) {
    if (given.length > 0) throw usageError("--var belongs to --render");
    return null;
  }
  const names = given.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw usageError(`--var ${twice} was given more than once`);
  return { vars: Object.fromEntries(given.map(({ name, value }) => [name, value])) };
}

function variable(input: string): Variable {
  const at = input.indexOf("=");
  const name = at === -1 ? input : input.slice(0, at);
  if (at !== -1 && VARIABLE_NAME.test(name)) return { name, value: input.slice(at + 1) };
  throw usageError(
    `--var must be NAME=value, not ${JSON.stringify(input)}`,
    "A name begins with a letter and has letters, digits, dots, dashes and underscores",
  );
}
