/** A home folder for one test, removed afterwards, with everything that opens its registry. */

import { type Paths, pathsFrom } from "../../lib/paths.ts";
import { openStore, type Store, type StoreOptions } from "../../lib/store.ts";
import type { SessionDraft } from "../../lib/store/sessions.ts";

export const NOON = "2026-01-01T12:00:00.000Z";

export const DRAFT: SessionDraft = {
  agent: "claude",
  mode: "yolo",
  path: "/work",
  description: "fix the build",
  model: null,
  parent: "riven-jg",
  group: "team",
  creator: { pid: 7, start: "123", boot: "boot", machine: "id/host/1" },
  launch: { agentArgs: ["--add-dir", "/src/lib"], trust: false },
};

export class StoreHome implements Disposable {
  readonly home = Deno.makeTempDirSync({ prefix: "ds-store-" });
  readonly paths: Paths = pathsFrom({ HOME: this.home });
  readonly warnings: string[] = [];
  readonly #stores: Store[] = [];

  open(options: Partial<StoreOptions> = {}): Store {
    const store = openStore(this.paths, {
      now: () => Date.parse(NOON),
      randomUuid: () => crypto.randomUUID(),
      warn: (line) => this.warnings.push(line),
      ...options,
    });
    this.#stores.push(store);
    return store;
  }

  /** Creates the state folder and puts a file there. */
  put(name: string, content: string | Uint8Array): string {
    Deno.mkdirSync(this.paths.state, { recursive: true });
    const path = `${this.paths.state}/${name}`;
    Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return path;
  }

  files(): string[] {
    return [...Deno.readDirSync(this.paths.state)].map((entry) => entry.name).sort();
  }

  /** Runs `store_writer.ts` on this home. */
  writer(...args: string[]): Deno.Command {
    return writerCommand(this.home, args);
  }

  [Symbol.dispose](): void {
    for (const store of this.#stores) store.close();
    Deno.removeSync(this.home, { recursive: true });
  }
}

const WRITER = new URL("./store_writer.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

export function writerArgs(args: readonly string[]): string[] {
  return ["run", "-A", "--quiet", "--no-lock", "--config", CONFIG, WRITER, ...args];
}

function writerCommand(home: string, args: readonly string[]): Deno.Command {
  // The cache of the real home is kept, so that nothing is downloaded.
  return new Deno.Command(Deno.execPath(), {
    args: writerArgs(args),
    env: { ...cacheOf(Deno.env.toObject()), HOME: home },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

export function cacheOf(env: Readonly<Record<string, string>>): Record<string, string> {
  const home = env["HOME"] ?? "";
  const cache = Deno.build.os === "darwin"
    ? `${home}/Library/Caches`
    : env["XDG_CACHE_HOME"] ?? `${home}/.cache`;
  return { DENO_DIR: env["DENO_DIR"] ?? `${cache}/deno`, NO_COLOR: "1" };
}
