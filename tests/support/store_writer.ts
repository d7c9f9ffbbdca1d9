/** A process of its own that uses the registry of the home folder in HOME: `reserve <n>`, `open`, `hang` or
 * `hold <ms>`. */

import { pathsFrom } from "../../lib/paths.ts";
import type { ProcessIdentity } from "../../lib/session.ts";
import { openStore } from "../../lib/store.ts";
import { Database } from "../../lib/store/database.ts";

const paths = pathsFrom(Deno.env.toObject());
const [action = "", count = "1"] = Deno.args;
const creator: ProcessIdentity = { pid: Deno.pid, start: "1", boot: "b", machine: "m/h/1" };

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  stream.writeSync(new TextEncoder().encode(text));
}

function open() {
  return openStore(paths, {
    now: Date.now,
    randomUuid: () => crypto.randomUUID(),
    warn: (line) => write(Deno.stderr, `${line}\n`),
  });
}

switch (action) {
  case "open":
    open().close();
    break;
  case "reserve": {
    const store = open();
    for (let i = 0; i < Number(count); i++) {
      const session = store.reserve({
        agent: "claude",
        mode: "yolo",
        path: "/w",
        description: null,
        model: null,
        parent: null,
        group: null,
        creator,
        launch: null,
      }, { id: null, exclude: new Set() });
      write(Deno.stdout, `${session.id}\n`);
    }
    store.close();
    break;
  }
  case "hang": {
    const database = new Database(paths.state, paths.database);
    database.mutate(() => {
      database.run("UPDATE sessions SET description = 'half done'");
      database.run("INSERT INTO meta (key, value) VALUES ('half', 'done')");
      write(Deno.stdout, "in transaction\n");
      Deno.stdin.readSync(new Uint8Array(1));
    });
    database.close();
    break;
  }
  case "hold": {
    const database = new Database(paths.state, paths.database);
    database.mutate(() => {
      write(Deno.stdout, "in transaction\n");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(count));
    });
    database.close();
    break;
  }
  default:
    throw new Error(`Unknown action: ${action}`);
}
