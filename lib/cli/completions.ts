/** `completions`: a script that teaches a shell what fits after `dev-sessions` when Tab is pressed. */

import { buildCommand } from "@stricli/core";
import bash from "./completion/script.bash" with { type: "text" };
import fish from "./completion/script.fish" with { type: "text" };
import zsh from "./completion/script.zsh" with { type: "text" };
import type { Result } from "./output.ts";
import { offering } from "./parsers.ts";
import { type ParseContext, usageError } from "./verb.ts";

const SCRIPTS = { bash, zsh, fish } as const;
type Shell = keyof typeof SCRIPTS;
const SHELLS = Object.keys(SCRIPTS) as Shell[];

export function run(shell: Shell): Promise<Result> {
  return Promise.resolve({ text: SCRIPTS[shell].trimEnd() });
}

const shellName = offering(SHELLS, (input: string): Shell => {
  const shell = SHELLS.find((one) => one === input);
  if (shell !== undefined) return shell;
  throw usageError(
    `Cannot complete for the shell ${JSON.stringify(input)}: it must be bash, zsh or fish`,
    'Your shell is named by: echo "$SHELL"',
  );
});

export const command = buildCommand<Record<never, never>, [Shell], ParseContext>({
  docs: {
    brief: "Print a shell's completion script",
    fullDescription:
      `Print the script with which a shell completes commands, options and their values, and the ids and groups of sessions.

Examples:
  # bash: this line in ~/.bashrc
  eval "$(dev-sessions completions bash)"

  # zsh: this line in ~/.zshrc, after compinit
  source <(dev-sessions completions zsh)

  # fish: once
  dev-sessions completions fish > ~/.config/fish/completions/dev-sessions.fish`,
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: shellName, brief: "bash, zsh or fish", placeholder: "shell" }],
    },
  },
  func(_flags, shell) {
    this.accept({ json: false, long: false, run: () => run(shell) });
  },
});
