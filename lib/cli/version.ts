/** `--version --json`: what runs here, in which form, and which agents it finds. */

import { PROGRAMS } from "../../backends/registry.ts";
import { installedAgent } from "../../backends/program.ts";
import type { Deps } from "../deps.ts";
import type { Program } from "../self_command.ts";
import { WIRE_PROTOCOL } from "../version.ts";
import type { Result } from "./output.ts";
import type { Invocation } from "./verb.ts";

export function versions(version: string): Invocation {
  return { json: true, long: false, run: ({ deps }) => run(version, deps) };
}

async function run(version: string, deps: Deps): Promise<Result> {
  const agents = await Promise.all(
    Object.entries(PROGRAMS).map(async ([agent, load]) =>
      [agent, await installedAgent(await load(), deps)] as const
    ),
  );
  return {
    json: {
      version,
      protocol: WIRE_PROTOCOL,
      build: buildOf(deps.program()),
      target: Deno.build.target,
      deno: Deno.version.deno,
      agents: Object.fromEntries(agents),
    },
  };
}

function buildOf({ kind }: Program): "compiled" | "bundle" | "source" {
  switch (kind) {
    case "launcher":
      return "bundle";
    case "compiled":
    case "bundle":
    case "source":
      return kind;
  }
}
