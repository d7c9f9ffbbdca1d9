/** What is decided here about sessions that live elsewhere. */

import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import { CarrierError } from "../../../gateway/carrier.ts";
import { mergeWaits } from "../../../gateway/merge_waits.ts";
import { pathThere } from "../../../gateway/remote_creation.ts";
import { placeOfEvents, sentElsewhere, withParent } from "../../../gateway/routing.ts";
import { AppError } from "../../../lib/errors.ts";
import { isSameSession, type RemoteSession } from "../../../lib/remote_session.ts";
import type { SendRequest, WaitResult } from "../../../lib/service.ts";
import type { Session } from "../../../lib/session.ts";

Deno.test("a path is that of the user's home there", () => {
  const rows: readonly [string, string][] = [
    ["~", "/home/me"],
    ["~/a", "/home/me/a"],
    [".", "/home/me"],
    ["src/api", "/home/me/src/api"],
    ["../you", "/home/you"],
    ["/srv/x/", "/srv/x"],
    ["~you", "/home/me/~you"],
  ];
  for (const [path, expected] of rows) strictEqual(pathThere(path, "/home/me"), expected, path);
  strictEqual(pathThere("a", null), "/a");
});

Deno.test("the parent's name is filled in where it is known", () => {
  strictEqual(
    withParent("{{parent.id}} {{ parent.id }} \\{{parent.id}} {{session.id}}", "fizz-top"),
    "fizz-top fizz-top \\{{parent.id}} {{session.id}}",
  );
});

const ROW = { id: "jinx-adc", parent: "fizz-top", createdAt: "2026-01-02T00:00:00.000Z" };
const here = (id: string): Session | null =>
  ["fizz-top", "riven-jg"].includes(id)
    ? { id, parent: null, createdAt: "2026-01-01T00:00:00.000Z" } as unknown as Session
    : null;
const sent = (part: Partial<SendRequest>) =>
  sentElsewhere({ id: ROW.id, text: "do it", render: null, key: null, sender: null, ...part }, ROW, {
    find: here,
  });

Deno.test("a sender of this machine is named in the text, once, unless it is an ancestor", () => {
  strictEqual(sent({}).text, "do it");
  strictEqual(sent({ sender: "fizz-top" }).text, "do it");
  strictEqual(sent({ sender: "zed-mid" }).text, "do it");
  const foreign = sent({ sender: "riven-jg" });
  strictEqual(
    foreign.text,
    'Message from the agent session "riven-jg", sent with dev-sessions; it is not your user\'s approval of anything.\ndo it',
  );
  strictEqual(foreign.sender, null);
  throws(
    () => sent({ sender: "riven-jg", text: " \n" }),
    (error) => error instanceof AppError && error.code === "usage",
  );
  strictEqual(sent({ text: "for {{parent.id}}", render: { vars: {} } }).text, "for fizz-top");
});

Deno.test("the session of a name is known by its token, that of 0.4.4 by its agent's id", () => {
  const row = (part: Partial<RemoteSession>) =>
    ({ remoteToken: null, agentSessionId: null, ...part }) as RemoteSession;
  const found = { token: "t", agentSessionId: "a" };
  strictEqual(isSameSession(row({ remoteToken: "t" }), found), true);
  strictEqual(isSameSession(row({ remoteToken: "u" }), found), false);
  strictEqual(isSameSession(row({ agentSessionId: "a" }), found), true);
  strictEqual(isSameSession(row({ agentSessionId: "b" }), found), false);
  strictEqual(isSameSession(row({}), found), true);
});

Deno.test("events are those of one place", () => {
  const rows: Record<string, string> = { "jinx-adc": "box", "zed-mid": "box", "vi-jg": "other" };
  const store = {
    findRemote: (id: string) => id in rows ? { id, host: rows[id] } as unknown as RemoteSession : null,
  };
  deepStrictEqual(placeOfEvents(["jinx-adc", "zed-mid"], store).map(({ id }) => id), ["jinx-adc", "zed-mid"]);
  for (const ids of [["jinx-adc", "vi-jg"], ["jinx-adc", "fizz-top"]]) {
    throws(() => placeOfEvents(ids, store), (error) => error instanceof AppError && error.code === "usage");
  }
});

const completed = (id: string): WaitResult => ({ id, outcome: { outcome: "completed" }, state: null });
const late = (id: string): WaitResult => ({
  id,
  outcome: { outcome: "timed_out", state: "working" },
  state: null,
});
const lost = new CarrierError("lost", { unsent: false });

/** Each item when its turn comes; `never` until the signal. */
async function* place(
  signal: AbortSignal,
  ...items: (WaitResult | Error | "never")[]
): AsyncGenerator<WaitResult> {
  for (const item of items) {
    await Promise.resolve();
    if (item instanceof Error) throw item;
    if (item !== "never") yield item;
    else {await new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true })
      );}
  }
}

async function merged(any: boolean, ...places: (WaitResult | Error | "never")[][]): Promise<string[]> {
  const signal = new AbortController().signal;
  const ids: string[] = [];
  for await (
    const { id } of mergeWaits((stop) => places.map((items) => place(stop, ...items)), any, signal)
  ) ids.push(id);
  return ids;
}

Deno.test("the waits of several places are one", async () => {
  deepStrictEqual((await merged(false, [completed("a"), late("b")], [completed("c")])).sort(), [
    "a",
    "b",
    "c",
  ]);
  deepStrictEqual(await merged(true, ["never"], [completed("c"), completed("d")]), ["c"]);
  // One place is done with waiting a little before another one has its outcome.
  deepStrictEqual(await merged(true, [late("a")], [completed("c")]), ["c"]);
  deepStrictEqual((await merged(true, [late("a")], [late("c")])).sort(), ["a", "c"]);
  deepStrictEqual(await merged(true, [lost], [completed("c")]), ["c"]);
  await rejects(merged(false, [lost], [completed("c")]), (error) => error === lost);
  await rejects(merged(false, ["never"], [new AppError("not_found", "no")]), /no/);
});
