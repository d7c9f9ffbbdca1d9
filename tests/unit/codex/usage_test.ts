/** Tokens from rollout lines as the real Codex 0.169.0 writes them. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { rolloutUsage, usageOfLine } from "../../../backends/codex/usage.ts";
import { markShared } from "../../../backends/docker/shared_files.ts";
import { meterParsing } from "../../support/parse_meter.ts";

const counts = (input: number, cached: number, output: number) => ({
  input_tokens: input,
  cached_input_tokens: cached,
  cache_write_input_tokens: 0,
  output_tokens: output,
  reasoning_output_tokens: 2,
  total_tokens: input + output,
});
const RECORD = JSON.stringify({
  timestamp: "2026-11-22T12:14:48.675Z",
  ordinal: 78,
  type: "token_usage_record",
  payload: {
    thread_id: "01a2032e-2d71-7283-8806-5e0165ca9bec",
    response_id: "resp_10",
    usage: counts(20, 5, 10),
    turn_token_usage: counts(20, 5, 10),
    thread_token_usage: counts(160, 40, 80),
  },
});
const COUNT = JSON.stringify({
  timestamp: "2026-11-22T12:14:48.689Z",
  ordinal: 81,
  type: "event_msg",
  payload: {
    type: "token_count",
    info: { total_token_usage: counts(180, 45, 90), last_token_usage: counts(20, 5, 10) },
    rate_limits: null,
  },
});
const OTHER = JSON.stringify({
  type: "response_item",
  payload: { type: "message", text: 'say "total_token_usage" ' },
});

Deno.test("usageOfLine() takes the thread's own sum, in kinds that exclude each other", () => {
  deepStrictEqual(usageOfLine(RECORD), {
    input: 120,
    output: 80,
    cacheRead: 40,
    cacheWrite: 0,
    total: 240,
  });
  deepStrictEqual(usageOfLine(COUNT)?.total, 270);
  for (const line of ["", "{", OTHER, '{"type":"event_msg","payload":{"type":"token_count","info":null}}']) {
    strictEqual(usageOfLine(line), null, line);
  }
});

Deno.test("rolloutUsage() takes the newest count, however far from the end it stands", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "rollout.jsonl");
    const long = JSON.stringify({ type: "response_item", payload: { text: "ä".repeat(300_000) } });
    const table: [lines: string[], total: number | null][] = [
      [[], null],
      [[OTHER], null],
      [[RECORD, OTHER], 240],
      [[RECORD, COUNT, OTHER], 270],
      [[RECORD, long, long, OTHER], 240],
      [[long, COUNT, long], 270],
    ];
    for (const [lines, total] of table) {
      await Deno.writeTextFile(path, lines.map((line) => `${line}\n`).join(""));
      strictEqual((await rolloutUsage(path))?.total ?? null, total, `${lines.length} lines`);
    }
    strictEqual(await rolloutUsage(join(folder, "missing.jsonl")), null);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("in a container's file, lines that Codex never writes are passed over, and hide no count", async () => {
  const folder = await Deno.makeTempDir();
  try {
    markShared(folder);
    const path = join(folder, "rollout.jsonl");
    const heavy = `{"type":"token_usage_record","payload":{"thread_token_usage":[${
      "{},".repeat(700_000)
    }{}]}}`;
    await Deno.writeTextFile(path, `${RECORD}\n${heavy}\n${OTHER}\n`);
    await Deno.truncate(path, (await Deno.stat(path)).size + 40_000_000);
    await Deno.writeTextFile(path, `\n${OTHER}\n`, { append: true });
    const parsed = await meterParsing(async () => strictEqual((await rolloutUsage(path))?.total, 240));
    ok(parsed.longestBytes < 5_000_000 && parsed.longestText < 1_000, JSON.stringify(parsed));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
