/** Which sessions a kill ends, in which order, and when it gives up on a family that goes on growing. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { sessionsToKill } from "../../lib/kill_order.ts";
import type { KillSelector } from "../../lib/service.ts";
import type { Lifecycle, Session } from "../../lib/session.ts";
import { session } from "./cli/harness.ts";

/** Rows in memory, by creation, and a clock that only sleeping moves. */
class World {
  readonly rows: Session[] = [];
  now = 0;
  /** What happens beside the kill, after each session that it ends and each time it sleeps. */
  meanwhile: () => void = () => {};

  add(id: string, parent: string | null, lifecycle: Lifecycle = "active"): void {
    const createdAt = new Date(this.rows.length).toISOString();
    this.rows.push(session({ id, parent, lifecycle, createdAt, lastUsedAt: createdAt, token: `t-${id}` }));
  }
  become(id: string, lifecycle: Lifecycle): void {
    const index = this.rows.findIndex((row) => row.id === id);
    this.rows[index] = { ...this.rows[index]!, lifecycle };
  }

  async order(
    selector: Partial<Extract<KillSelector, { ids: unknown }>> & { ids: string[] },
  ): Promise<string> {
    const order: string[] = [];
    const given = { tree: false, everyone: false, caller: null, ...selector };
    for await (const { id, lifecycle } of sessionsToKill(given, this.#world())) {
      order.push(lifecycle === "active" ? id : `${id}:${lifecycle}`);
      if (lifecycle === "active") this.become(id, "ended");
      this.now += 1_000;
      this.meanwhile();
    }
    return order.join(" ");
  }

  #world(): Parameters<typeof sessionsToKill>[1] {
    return {
      store: {
        find: (id) => this.rows.find((row) => row.id === id) ?? null,
        list: (filter) => this.rows.filter(({ lifecycle }) => lifecycle === filter?.lifecycle),
        creating: () => this.rows.filter(({ lifecycle }) => lifecycle === "creating"),
      },
      clock: {
        now: () => this.now,
        monotonic: () => this.now,
        sleep: (ms) => {
          this.now += ms;
          this.meanwhile();
          return Promise.resolve();
        },
      },
      rollBackAbandoned: () => Promise.resolve(),
    };
  }
}

function family(): World {
  const world = new World();
  world.add("root-top", null);
  world.add("child-mid", "root-top", "ended");
  world.add("other-top", null);
  world.add("grand-jg", "child-mid");
  world.add("second-mid", "root-top");
  return world;
}

Deno.test("ids are ended as named, a tree parents first, the session that runs the command last", async () => {
  strictEqual(
    await family().order({ ids: ["second-mid", "child-mid", "second-mid"] }),
    "second-mid child-mid:ended",
  );
  strictEqual(await family().order({ ids: ["root-top"], tree: true }), "root-top grand-jg second-mid");
  strictEqual(await family().order({ ids: ["child-mid"], tree: true }), "child-mid:ended grand-jg");
  strictEqual(
    await family().order({ ids: ["second-mid", "root-top"], tree: true }),
    "root-top grand-jg second-mid",
  );
  strictEqual(
    await family().order({ ids: ["root-top"], tree: true, everyone: true, caller: "grand-jg" }),
    "root-top second-mid grand-jg",
  );
});

Deno.test("nothing is ended when one of the ids is refused or unknown", async () => {
  const order = (ids: string[], caller: string) => family().order({ ids, caller });
  await rejects(order(["other-top", "root-top"], "grand-jg"), { code: "refused" });
  await rejects(order(["other-top", "grand-jg"], "grand-jg"), { code: "refused" });
  await rejects(order(["other-top", "nobody-top"], "grand-jg"), { code: "not_found" });
  strictEqual(await order(["grand-jg", "other-top"], "second-mid"), "grand-jg other-top");
  strictEqual(await order(["root-top"], "elsewhere-top"), "root-top");
});

Deno.test("a tree includes what the family brings forth while it ends", async () => {
  const world = family();
  const happens = [
    () => world.add("late-sup", "second-mid", "creating"),
    () => world.add("later-sup", "grand-jg"),
    () => {},
    () => world.become("late-sup", "active"),
    () => world.add("last-sup", "late-sup"),
  ];
  world.meanwhile = () => happens.shift()?.();
  strictEqual(
    await world.order({ ids: ["root-top"], tree: true }),
    "root-top grand-jg second-mid later-sup late-sup last-sup",
  );
  deepStrictEqual(world.rows.filter(({ lifecycle }) => lifecycle !== "ended").map(({ id }) => id), [
    "other-top",
  ]);
});

Deno.test("a tree that never stops growing is given up, and what is still coming is named", async () => {
  const world = family();
  let count = 0;
  world.meanwhile = () => {
    count++;
    const [open] = world.rows.filter(({ lifecycle }) => lifecycle === "creating");
    if (open !== undefined) world.become(open.id, "active");
    world.add(`spawn-${count}`, "root-top", "creating");
  };
  const order = (await world.order({ ids: ["root-top"], tree: true })).split(" ");
  strictEqual(order.slice(0, 3).join(" "), "root-top grand-jg second-mid");
  strictEqual(order.filter((one) => one.endsWith(":creating")).length, 1);
  strictEqual(new Set(order).size, order.length);
});
