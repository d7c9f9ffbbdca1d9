/** Which modules of the bundle share a file. */

import { deepStrictEqual, throws } from "node:assert/strict";
import { type BundledModule, type Layer, layersOf } from "../../build/layers.ts";

/** A module whose only source has its name. */
function module(id: string, imports: readonly string[] = [], isFacade = false): BundledModule {
  return { id, imports, isFacade, sources: isFacade ? [] : [`${id}.ts`] };
}

const LAYERS: readonly Layer[] = [
  { name: "start", roots: ["main.ts"] },
  { name: "verbs", roots: ["send.ts", "wait.ts", "kill.ts"], shared: true },
  { name: "service", roots: ["manager.ts", "store.ts"] },
];

Deno.test("layersOf() gives a module to the first layer that needs it", () => {
  const modules = [
    module("main", ["errors"]),
    module("errors"),
    module("send", ["errors", "table", "receipt"]),
    module("wait", ["table", "session"]),
    module("kill", ["table"]),
    module("table", ["width"]),
    module("width"),
    module("receipt"),
    module("session"),
    module("manager", ["store", "session", "errors", "width"]),
    module("store"),
    module("doctor", ["store"]),
    module("open_manager", ["manager", "errors"], true),
    module("open_receipt", ["receipt", "errors"], true),
  ];
  deepStrictEqual(Object.fromEntries(layersOf(modules, "main", LAYERS)), {
    errors: "start",
    table: "verbs",
    width: "verbs",
    manager: "service",
    store: "service",
    session: "service",
    open_manager: "service",
  });
});

Deno.test("layersOf() takes modules that need each other together", () => {
  const modules = [
    module("main"),
    ...["send", "wait", "kill"].map((id) => module(id)),
    module("manager", ["store"]),
    module("store", ["manager"]),
  ];
  deepStrictEqual(Object.fromEntries(layersOf(modules, "main", LAYERS)), {
    manager: "service",
    store: "service",
  });
});

Deno.test("layersOf() can't do without a root", () => {
  throws(() => layersOf([module("main")], "main", LAYERS), /^Error: The code of send\.ts is in no module of/);
  const twice = [module("main"), { ...module("other"), sources: ["main.ts"] }];
  throws(() => layersOf(twice, "main", LAYERS), /^Error: The code of main\.ts is in several modules of/);
});
