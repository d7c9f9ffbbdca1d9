import assert from "node:assert/strict";
import type { RunResult } from "../../lib/deps.ts";
import {
  compareVantage,
  identify,
  judge,
  parseProcStat,
  parsePs,
  processStates,
  type RunPs,
} from "../../lib/process_identity.ts";
import type { Liveness, ProcessIdentity } from "../../lib/session.ts";

const REST = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";

Deno.test("parseProcStat() reads state and start time behind any process name", () => {
  for (const name of ["claude", "tmux: server", "a) R 1 (b", "x) Z", "()", " ", "a\nb) S 1"]) {
    assert.deepEqual(parseProcStat(`12 (${name}) S ${REST}\n`), { state: "S", start: "4242" }, name);
  }
});

Deno.test("parseProcStat() refuses what is no stat line", () => {
  for (const text of ["", "12", "12 (a) S", "12 (a) S 1 2 3", `12 (a) 9 ${REST}`]) {
    assert.equal(parseProcStat(text), null, text);
  }
});

Deno.test("parsePs() reads the columns of macOS and procps", () => {
  const entries = parsePs(
    "    1 Ss   Sun Nov 22 07:45:49 2026\n 4606 R+   Mon Nov  2 17:58:24 2026    \nbroken\n99 Z Sun Nov 22 07:45:50 2026\n",
  );
  assert.deepEqual([...entries], [
    [1, { state: "S", start: "Sun Nov 22 07:45:49 2026" }],
    [4606, { state: "R", start: "Mon Nov 2 17:58:24 2026" }],
    [99, { state: "Z", start: "Sun Nov 22 07:45:50 2026" }],
  ]);
});

Deno.test("judge() calls dead what is gone, a zombie, or another process under the same number", () => {
  const identity: ProcessIdentity = { pid: 5, start: "10", boot: "b", machine: "m" };
  const table: [Parameters<typeof judge>[1], Liveness][] = [
    [{ state: "S", start: "10" }, "alive"],
    [{ state: "T", start: "10" }, "alive"],
    [{ state: "D", start: "10" }, "alive"],
    [{ state: "Z", start: "10" }, "dead"],
    [{ state: "X", start: "10" }, "dead"],
    [{ state: "S", start: "11" }, "dead"],
    [null, "dead"],
    [undefined, "unknown"],
  ];
  for (const [entry, expected] of table) {
    assert.equal(judge(identity, entry), expected, JSON.stringify(entry));
  }
});

Deno.test("compareVantage() proves death by a reboot of this machine only", () => {
  const here = { boot: "b2", machine: "id/host/100" };
  const table: [boot: string, machine: string, ReturnType<typeof compareVantage>][] = [
    ["b2", "id/host/100", "visible"],
    ["b2", "id/renamed/100", "visible"],
    ["b2", "id/host/101", "unknown"],
    ["b2", "other/host/100", "unknown"],
    ["b1", "id/host/100", "dead"],
    ["b1", "id/host/999", "dead"],
    ["b1", "id/other/100", "unknown"],
    ["b1", "other/host/100", "unknown"],
    ["b1", "/host/100", "unknown"],
    ["", "id/host/100", "unknown"],
    ["b2", "id/host/", "unknown"],
    ["b2", "garbage", "unknown"],
  ];
  for (const [boot, machine, expected] of table) {
    assert.equal(compareVantage({ boot, machine }, here), expected, `${boot} ${machine}`);
  }
});

Deno.test("compareVantage() proves nothing across boots without a machine id", () => {
  const [old, here] = [{ boot: "b1", machine: "/host/1" }, { boot: "b2", machine: "/host/1" }];
  assert.equal(compareVantage(old, here), "unknown");
  assert.equal(compareVantage(here, here), "visible");
  assert.equal(
    compareVantage({ boot: "", machine: "id/host/1" }, { boot: "", machine: "id/host/1" }),
    "unknown",
  );
});

const LINE = "  5 S Sun Nov 22 07:45:49 2026\n";
const START = "Sun Nov 22 07:45:49 2026";
const exited = (code: number, stdout: string, stderr = ""): RunResult => ({
  kind: "exited",
  code,
  stdout,
  stderr,
});

function canned(ps: RunResult, calls: string[][] = []): RunPs {
  return (command, args) => {
    calls.push([command, ...args]);
    return Promise.resolve(command === "sysctl" ? exited(0, "BOOT-UUID\n") : ps);
  };
}

Deno.test("identify() on macOS asks ps with one -o for each column", async () => {
  const calls: string[][] = [];
  const identity = await identify(5, canned(exited(0, LINE), calls), "ps");
  assert.deepEqual(identity, {
    pid: 5,
    start: START,
    boot: "BOOT-UUID",
    machine: `ps/${Deno.hostname()}/ps`,
  });
  assert.deepEqual(calls.at(-1), ["ps", "-o", "pid=", "-o", "state=", "-o", "lstart=", "-p", "5"]);
});

Deno.test("identify() on macOS tells a missing process from a failing ps", async () => {
  assert.equal(await identify(5, canned(exited(1, "")), "ps"), null);
  assert.equal(await identify(5, canned(exited(0, LINE.replace(" S ", " Z "))), "ps"), null);
  for (const failure of [exited(1, "", "ps: no"), { kind: "timed_out" }, { kind: "not_found" }] as const) {
    await assert.rejects(identify(5, canned(failure), "ps"), /Cannot identify process 5/);
  }
});

Deno.test("processStates() on macOS makes one call for all", async () => {
  const mine = await identify(5, canned(exited(0, LINE)), "ps");
  assert.ok(mine);
  const calls: string[][] = [];
  const asked = [mine, { ...mine, pid: 6 }, { ...mine, start: "x" }, { ...mine, boot: "OLD" }, {
    ...mine,
    boot: "OLD",
    machine: "ps/elsewhere/ps",
  }];
  assert.deepEqual(await processStates(asked, canned(exited(0, LINE), calls), "ps"), [
    ...["alive", "dead", "dead", "dead", "unknown"],
  ]);
  assert.deepEqual(calls.map((call) => call.at(-1)), ["5,6"]);
});

Deno.test("processStates() on macOS is unknown whenever ps does not answer cleanly", async () => {
  const mine = await identify(5, canned(exited(0, LINE)), "ps");
  assert.ok(mine);
  const failures: RunResult[] = [
    { kind: "timed_out" },
    { kind: "not_found" },
    exited(1, "", "ps: permission denied"),
    exited(1, LINE),
    exited(0, ""),
    exited(0, `${LINE}cut off`),
    exited(137, ""),
  ];
  for (const failure of failures) {
    assert.deepEqual(
      await processStates([mine], canned(failure), "ps"),
      ["unknown"],
      JSON.stringify(failure),
    );
  }
});
