/**
 * Which modules of the program stand in one file of the bundle. What a command needs it needs in stages, and each stage
 * is one file, since every file that is read costs as much as some five kilobytes of code (425 KB in 73 files took 25 ms
 * beyond an empty program, in one file 14 ms; the best of 25 runs with Deno 2.9.6). Pure.
 */

export interface Layer {
  readonly name: string;
  /** Sources, as the bundler names them: from the checkout's folder on. */
  readonly roots: readonly string[];
  /** Only what two roots or more need; else what any of them needs. */
  readonly shared?: boolean;
}

/** In the order in which they are reached: what an earlier one holds is in no later one. */
export const LAYERS: readonly Layer[] = [
  { name: "start", roots: ["main.ts"] },
  { name: "command", roots: ["lib/cli/parse.ts"] },
  {
    name: "verbs",
    shared: true,
    roots: [
      "lib/cli/ask.ts",
      "lib/cli/create.ts",
      "lib/cli/inspect.ts",
      "lib/cli/interrupt.ts",
      "lib/cli/kill.ts",
      "lib/cli/last_message.ts",
      "lib/cli/list.ts",
      "lib/cli/logs.ts",
      "lib/cli/respond.ts",
      "lib/cli/send.ts",
      "lib/cli/status.ts",
      "lib/cli/wait.ts",
    ],
  },
  {
    name: "service",
    roots: ["lib/open_service.ts", "gateway/routed_service.ts", "lib/open_registry.ts", "lib/manager.ts"],
  },
  { name: "agents", shared: true, roots: ["backends/claude/backend.ts", "backends/codex/backend.ts"] },
  { name: "claude", roots: ["backends/claude/backend.ts"] },
  { name: "codex", roots: ["backends/codex/backend.ts"] },
  // Of a connection between two hosts, what both of its ends need.
  { name: "wire", shared: true, roots: ["gateway/ssh/hosts.ts", "gateway/stdio.ts"] },
  // ssh is started before the rest of it is read.
  { name: "ssh", roots: ["gateway/ssh/process.ts"] },
  { name: "hosts", roots: ["gateway/elsewhere.ts", "gateway/ssh/hosts.ts"] },
  { name: "rpc", roots: ["lib/cli/rpc.ts", "gateway/stdio.ts"] },
];

/** A module as the bundler has left it. */
export interface BundledModule {
  readonly id: string;
  /** Whose code it holds. */
  readonly sources: readonly string[];
  /** What is read before it runs. */
  readonly imports: readonly string[];
  /** It only passes on what others hold. */
  readonly isFacade: boolean;
}

/**
 * The layer of each module that has one. No layer needs a later one.
 *
 * @param entry the program itself: it waits for everything, so that nothing else may need the file that it is in.
 * @throws Error when a root is not in exactly one module.
 */
export function layersOf(
  modules: readonly BundledModule[],
  entry: string,
  layers: readonly Layer[] = LAYERS,
): Map<string, string> {
  const byId = new Map(modules.map((module) => [module.id, module]));
  const found = new Map<string, string>();
  for (const { name, roots, shared = false } of layers) {
    const needed = new Map<string, number>();
    for (const root of roots) {
      for (const id of neededBy(homeOf(root, modules), byId)) needed.set(id, (needed.get(id) ?? 0) + 1);
    }
    for (const [id, count] of needed) {
      if (id !== entry && !found.has(id) && (!shared || count > 1)) found.set(id, name);
    }
  }
  const order = layers.map(({ name }) => name);
  for (const { id, imports, isFacade } of modules) {
    if (!isFacade || found.has(id) || id === entry) continue;
    const places = imports.map((one) => order.indexOf(found.get(one) ?? ""));
    const last = order[Math.max(...places)];
    if (last !== undefined && !places.includes(-1)) found.set(id, last);
  }
  return found;
}

function homeOf(source: string, modules: readonly BundledModule[]): string {
  const [home, ...others] = modules.filter(({ sources }) => sources.includes(source));
  if (home !== undefined && others.length === 0) return home.id;
  throw new Error(
    `The code of ${source} is in ${others.length === 0 ? "no module" : "several modules"} of the bundle`,
  );
}

/** A module, and all that is read before it runs. */
function neededBy(
  id: string,
  byId: ReadonlyMap<string, BundledModule>,
  found = new Set<string>(),
): Set<string> {
  const module = byId.get(id);
  if (module === undefined || found.has(id)) return found;
  found.add(id);
  for (const one of module.imports) neededBy(one, byId, found);
  return found;
}
