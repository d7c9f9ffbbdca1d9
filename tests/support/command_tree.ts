/** The command tree as data, for tests of what documents say of it. */

import { VERBS } from "../../lib/cli/app.ts";
import { kebabCase } from "../../lib/cli/arguments.ts";
import { positionalsOf, valueOf } from "../../lib/cli/help_page.ts";

const HELP_FLAGS = ["--help", "-h"];

export interface Command {
  readonly verb: string;
  readonly brief: string;
  /** As the README shows them: `<id>`, `[message]`, `<id...>`. */
  readonly parameters: readonly string[];
  /** As the README shows them: `-p/--path <path>`; hidden ones left out. */
  readonly options: readonly string[];
  /** Everything that is accepted. */
  readonly accepted: ReadonlySet<string>;
  readonly description: string;
}

/** Every verb with what it takes, in the order of the help page. */
export async function commands(): Promise<Command[]> {
  return await Promise.all(
    Object.entries(VERBS).map(async ([verb, { brief, load }]) => {
      const { command } = await load();
      const { flags = {}, aliases = {} } = command.parameters;
      const shorts = Object.entries<string>(aliases as Record<string, string>);
      const accepted = new Set(HELP_FLAGS);
      const options: string[] = [];
      for (const [key, flag] of Object.entries(flags)) {
        const short = shorts.find(([, target]) => target === key)?.[0];
        const name = `--${kebabCase(key)}`;
        accepted.add(name);
        if (short !== undefined) accepted.add(`-${short}`);
        if ("hidden" in flag && flag.hidden) continue;
        options.push(`${short === undefined ? "" : `-${short}/`}${name}${valueOf(flag, key)}`);
      }
      const parameters = positionalsOf(command.parameters);
      return { verb, brief, parameters, options, accepted, description: command.fullDescription ?? "" };
    }),
  );
}
