/** A `tmux` or `git` on the sandbox's PATH that stops at one command, so that a test can act at exactly that moment. */

import { join } from "node:path";
import type { Sandbox } from "./harness.ts";
import { isRunning } from "./processes.ts";

export interface Gate {
  /** Resolves once a command has come to the gate. */
  reached(): Promise<void>;
  /** Lets it go on, to its end; every later command passes freely. */
  open(): Promise<void>;
}

/**
 * Stops the first tmux call whose arguments have this word, before or after the real tmux has carried it out.
 * The calls of `Sandbox.tmux()` pass the same gate.
 */
export function gateTmux(sandbox: Sandbox, word: string, when: "before" | "after"): Promise<Gate> {
  return gateProgram(sandbox, "tmux", word, when);
}

/** The same of git. */
export function gateGit(sandbox: Sandbox, word: string, when: "before" | "after"): Promise<Gate> {
  return gateProgram(sandbox, "git", word, when);
}

async function gateProgram(
  sandbox: Sandbox,
  program: "tmux" | "git",
  word: string,
  when: "before" | "after",
): Promise<Gate> {
  const path = sandbox.env["PATH"] ?? "";
  const real = path.split(":").map((folder) => join(folder, program)).find((candidate) =>
    !candidate.startsWith(sandbox.root) && isFile(candidate)
  );
  if (real === undefined) throw new Error(`Cannot set up a gate: ${program} was not found on PATH`);
  const gate = await Deno.makeTempDir({ dir: sandbox.root, prefix: "gate" });
  const stop =
    `echo $$ >${gate}/part; mv ${gate}/part ${gate}/reached; while [ ! -e ${gate}/open ]; do sleep 0.01; done`;
  await Deno.writeTextFile(
    join(sandbox.root, "bin", program),
    `#!/bin/sh
held=no
for word in "$@"; do
  if [ "$word" = '${word}' ] && mkdir ${gate}/taken 2>/dev/null; then held=yes; fi
done
[ $held = no ] && exec ${real} "$@"
${when === "before" ? `${stop}; ${real} "$@"` : `${real} "$@"; code=$?; ${stop}; exit $code`}
`,
    { mode: 0o755 },
  );
  return {
    reached: async () => {
      await sandbox.eventually(() => isFile(join(gate, "reached")), {
        what: `${program} is called with ${word}`,
      });
    },
    open: async () => {
      const reached = join(gate, "reached");
      const held = isFile(reached) ? Number(await Deno.readTextFile(reached)) : null;
      await Deno.writeTextFile(join(gate, "open"), "");
      // Else a server that it starts might outlive the sandbox.
      if (held !== null) {
        await sandbox.eventually(async () => !await isRunning(held), {
          what: `the end of the held ${program}`,
        });
      }
    },
  };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
