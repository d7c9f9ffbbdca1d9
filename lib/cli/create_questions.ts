/** What `create` asks a person who says nothing: which agent, where, in which mode and what for. */

import { readConfig } from "../config.ts";
import { pathsFrom } from "../paths.ts";
import { resolvePath } from "../posix_path.ts";
import type { CreateRequest } from "../service.ts";
import { AGENT_TITLES, type Mode, OFFERED_AGENTS, OFFERED_MODES } from "../session.ts";
import { type Asking, choose, enter } from "./prompts.ts";

const MODE_HINTS: Readonly<Record<Mode, string>> = {
  yolo: "never asks",
  native: "asks for permissions, and somebody has to answer",
  docker: "in a container",
};

/**
 * The request with the answers in it.
 * @throws AppError (interrupted) for Ctrl-C; then nothing has been created.
 */
export async function askForRequest(request: CreateRequest, context: Asking): Promise<CreateRequest> {
  const { deps: { env, cwd } } = context;
  const { home, config } = pathsFrom(env);
  const { defaults } = readConfig(config);
  const folder = (line: string) => workspaceOf(line, home, cwd());

  const agents = OFFERED_AGENTS.map((value) => ({ value, hint: AGENT_TITLES[value] }));
  const agent = await choose("Which agent?", agents, initial(OFFERED_AGENTS, defaults.cli), context);
  const path = await enter("In which folder?", cwd(), (line) => complaint(folder(line)), context);
  const modes = OFFERED_MODES.map((value) => ({ value, hint: MODE_HINTS[value] }));
  const mode = await choose("In which mode?", modes, initial(OFFERED_MODES, defaults.mode), context);
  const description = (await enter("What is it for?", "may stay empty", () => null, context)).trim();
  return {
    ...request,
    agent,
    path: folder(path),
    mode,
    description: description === "" ? null : description,
  };
}

/** The absolute path of what was typed; nothing is the current folder. Pure. */
export function workspaceOf(line: string, home: string, cwd: string): string {
  const typed = line.trim();
  if (typed === "~" || typed.startsWith("~/")) return resolvePath(home, `.${typed.slice(1)}`);
  return resolvePath(cwd, typed === "" ? "." : typed);
}

function complaint(path: string): string | null {
  try {
    return Deno.statSync(path).isDirectory ? null : "This is no folder";
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "There is no such folder" : "This folder can't be reached";
  }
}

function initial<T extends string>(offered: readonly T[], set: string | null): T {
  return offered.find((value) => value === set) ?? offered[0]!;
}
