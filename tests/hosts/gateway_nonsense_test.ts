/** The gateway fed with nonsense: every answer is one, none is a fault of the gateway's, and nothing piles up. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { exchange, startGateway, type TestGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { Nonsense } from "../support/nonsense.ts";
import { MAX_GROWTH_BYTES, MB, onLinux, residentBytes } from "../support/resources.ts";
import { created, rows } from "../support/sandbox_state.ts";

const NONSENSE = 10_000;
const SEED = 20_261_122;
const AT_ONCE = 96;
const SLOW = 40;
/** Longer than the gateway waits for headers. */
const ANSWER_TIMEOUT_MS = 30_000;
/** Before half a request breaks off; whole ones are answered long before. */
const PATIENCE_MS = 2_000;

interface Answered {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function parsedAnswer(text: string): Answered | null {
  if (text === "") return null;
  // After what says that the body may come.
  const answer = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "");
  const end = answer.indexOf("\r\n\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(answer)?.[1]);
  ok(end !== -1 && status >= 200, `no answer: ${JSON.stringify(answer.slice(0, 200))}`);
  const head = answer.slice(0, end);
  const raw = answer.slice(end + 4);
  const isChunked = /^transfer-encoding: chunked$/im.test(head);
  return {
    status,
    type: /^content-type: ([^\r\n;]+)/im.exec(head)?.[1] ?? "",
    body: isChunked ? unchunked(raw) : raw,
  };
}

/** Chunks are counted in bytes. */
function unchunked(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  let body = "";
  for (let at = 0;;) {
    const [line, size] = /^([0-9a-f]+)\r\n/i.exec(decoder.decode(bytes.slice(at, at + 20))) ?? [];
    const length = Number.parseInt(size ?? "0", 16);
    if (line === undefined || length === 0) return body;
    at += line.length;
    body += decoder.decode(bytes.slice(at, at + length));
    at += length + 2;
  }
}

async function answered(gateway: TestGateway, bytes: Uint8Array): Promise<{ text: string; given: boolean }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: gateway.port });
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), ANSWER_TIMEOUT_MS);
  let given = true;
  const patience = setTimeout(() => {
    given = false;
    connection.closeWrite().catch(() => {});
  }, PATIENCE_MS);
  try {
    const text = await Promise.race([exchange(connection, bytes), late.promise]);
    if (text === null) throw new Error("no end within its time");
    return { text, given };
  } finally {
    clearTimeout(timer);
    clearTimeout(patience);
  }
}

Deno.test(
  `${NONSENSE} requests of nonsense: each has an answer that is none of the gateway's faults`,
  onLinux,
  async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    await using gateway = await startGateway(sandbox);
    const { pid } = gateway.process;
    const id = await created(sandbox);
    const scoped = await gateway.token("--root", sandbox.workspace, "--mode", "yolo", "--max-sessions", "1");
    const tokens = [gateway.master, scoped.token, scoped.token, "nonsense"];
    const nonsense = new Nonsense(SEED, [id, "fizz-top", "nobody-mid"], tokens);
    const statuses = new Map<number, number>();
    let warm = 0;
    let next = 0;

    const one = async () => {
      while (next < NONSENSE) {
        const number = next++;
        const bytes = nonsense.next();
        const shown = () =>
          `request ${number}: ${JSON.stringify(new TextDecoder().decode(bytes.slice(0, 1_500)))}`;
        let got: Awaited<ReturnType<typeof answered>>;
        try {
          got = await answered(gateway, bytes);
        } catch (error) {
          throw new Error(shown(), { cause: error });
        }
        try {
          check(got, new TextDecoder().decode(bytes.slice(0, 5)) === "HEAD ", statuses);
        } catch (error) {
          throw new Error(`${shown()}\n${JSON.stringify(got.text.slice(0, 1_500))}`, { cause: error });
        }
        if (number === NONSENSE / 4) warm = residentBytes(pid);
      }
    };
    // Those who open a connection and say little, all the while.
    const slow = Array.from({ length: SLOW }, async (_, index) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: gateway.port });
      const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nX: ${index}`;
      await connection.write(new TextEncoder().encode(head.slice(0, 5 + index)));
      return await exchange(connection, "");
    });
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    for (const text of await Promise.all(slow)) strictEqual(parsedAnswer(text)?.status, 408);

    ok((statuses.get(200) ?? 0) > 100, "some of it made sense");
    ok((statuses.get(400) ?? 0) > 1_000, "much of it did not");
    strictEqual(gateway.process.child.pid, pid);
    strictEqual((await gateway.fetch("/health", { token: null }).then((it) => it.json())).status, "healthy");
    strictEqual((await sandbox.run(["list"])).code, 0);
    const last = residentBytes(pid);
    ok(last - warm < MAX_GROWTH_BYTES, `${warm / MB} MB, then ${last / MB} MB`);
    deepStrictEqual(gateway.log.filter(({ level }) => level === "error"), []);
    ok(rows(sandbox).length < 50);
  },
);

function check(
  { text, given }: { text: string; given: boolean },
  isHead: boolean,
  statuses: Map<number, number>,
): void {
  // Half a request that breaks off has no answer.
  if (!given && /^(HTTP\/1\.1 100 Continue\r\n\r\n)?$/.test(text)) return;
  const answer = parsedAnswer(text);
  const status = answer?.status ?? 0;
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
  ok(answer !== null, "the connection was closed without a word");
  ok(status < 500, `${status}`);
  if (isHead && answer.body === "") return;
  switch (answer.type) {
    case "application/json":
      JSON.parse(answer.body);
      return;
    case "application/x-ndjson":
      for (const line of answer.body.split("\n").filter((one) => one !== "")) JSON.parse(line);
      return;
    case "text/event-stream":
      ok(answer.body.startsWith("retry: "));
      return;
    default:
      throw new Error(`a body of type "${answer.type}"`);
  }
}
