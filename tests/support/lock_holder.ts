/** Takes the lock at the path it is given, says so, and keeps it until its input ends. */

import { acquireLock } from "../../lib/file_lock.ts";
import { realClock } from "../../lib/real_deps.ts";

const [path] = Deno.args;
const signal = new AbortController().signal;
using lock = await acquireLock(path!, { timeoutMs: 0, clock: realClock, signal });
await Deno.stdout.write(new TextEncoder().encode(lock === null ? "taken\n" : "held\n"));
await Deno.stdin.readable.pipeTo(new WritableStream());
