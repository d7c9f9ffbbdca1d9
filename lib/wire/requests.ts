/**
 * Schemas of what each operation is asked: an id is checked as an id before it can become anything else, paths are
 * absolute and mean what they say, texts that become arguments hold no NUL, numbers are finite. What has a usual value
 * may be left out.
 */

import * as v from "valibot";
import { isSessionId } from "../champion_ids.ts";
import { isPlainAbsolute } from "../posix_path.ts";
import { isSshHost } from "../ssh_host.ts";
import { AGENT_KINDS, MODES, SANDBOX_KINDS } from "../session.ts";

const MAX_GROUP_LENGTH = 64;
const MAX_KEY_LENGTH = 200;
const MAX_NAME_LENGTH = 1_000;
const MAX_PATH_LENGTH = 4_096;
/** Of ids in one request; the registry holds fewer live ones. */
const MAX_IDS = 10_000;
/** Of arguments for an agent. */
const MAX_ARGS = 1_000;
/** A day: whoever waits longer asks again. */
const MAX_READY_TIMEOUT_MS = 86_400_000;
/** A thousand years; times before the year 0 can't be written. */
const MAX_AGE_MS = 1_000 * 365 * 86_400_000;
const USUAL_READY_TIMEOUT_MS = 60_000;
const USUAL_WAIT_MS = 300_000;
const CURSOR_LOG = /^[0-9a-f]{8}$/;
const GROUP = /^[A-Za-z0-9._-]+$/;

function optionalNull<const S extends v.GenericSchema>(schema: S) {
  return v.optional(v.nullable(schema), null);
}

const no = v.optional(v.boolean(), false);

const id = v.pipe(v.string(), v.check(isSessionId, "must be the id of a session, e.g. fizz-top"));
/** Each once. */
const ids = v.pipe(v.array(id), v.maxLength(MAX_IDS), v.transform((all) => [...new Set(all)]));
const group = v.pipe(
  v.string(),
  v.maxLength(MAX_GROUP_LENGTH),
  v.regex(GROUP, "must be 1 to 64 letters, digits, dots, underscores or dashes"),
);
const withoutNul = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0"), "must not hold a NUL character"),
);
const name = v.pipe(
  withoutNul,
  v.check((text) => text.trim() !== "", "must not be empty"),
  v.maxLength(MAX_NAME_LENGTH),
);
const key = v.pipe(name, v.maxLength(MAX_KEY_LENGTH));
const path = v.pipe(
  v.string(),
  v.maxLength(MAX_PATH_LENGTH),
  v.check(
    (text) => text === "/" || isPlainAbsolute(text),
    "must be an absolute path without empty, . and .. segments",
  ),
);
const finite = v.pipe(v.number(), v.finite());
const positive = v.pipe(finite, v.check((value) => value > 0, "must be more than 0"));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

const target = v.variant("kind", [
  v.object({ kind: v.literal("session"), id }),
  v.object({ kind: v.literal("group"), group }),
]);

export const expandRequest = v.object({
  targets: v.pipe(v.array(target), v.maxLength(MAX_IDS)),
  action: v.picklist([
    "send",
    "wait",
    "interrupt",
    "respond",
    "resume",
    "attach",
    "kill",
    "kill tree",
    "read",
  ]),
  caller: optionalNull(id),
});

const createEntries = {
  host: v.exactOptional(v.pipe(v.string(), v.check(isSshHost, "must be the name of a host for ssh"))),
  agent: optionalNull(v.picklist(AGENT_KINDS)),
  mode: optionalNull(v.picklist(MODES)),
  description: optionalNull(withoutNul),
  model: optionalNull(name),
  group: optionalNull(group),
  id: optionalNull(id),
  parent: optionalNull(id),
  agentArgs: v.optional(v.pipe(v.array(withoutNul), v.maxLength(MAX_ARGS)), []),
  trust: no,
  sandbox: v.exactOptional(v.picklist(SANDBOX_KINDS)),
  readyTimeoutMs: v.optional(v.pipe(positive, v.maxValue(MAX_READY_TIMEOUT_MS)), USUAL_READY_TIMEOUT_MS),
  worktree: optionalNull(v.object({
    branch: optionalNull(v.pipe(
      name,
      v.check((branch) => !branch.startsWith("-"), "must not start with a dash"),
    )),
  })),
  key: optionalNull(key),
  repeatOnly: v.exactOptional(v.boolean()),
};
const createAt = (path: v.GenericSchema<string>) => v.object({ path, ...createEntries });
const createHere = createAt(path);
/** What its path means is the other host's business. */
const createElsewhere = createAt(v.pipe(withoutNul, v.maxLength(MAX_PATH_LENGTH)));

export const createRequest = v.pipe(
  v.unknown(),
  v.lazy((value) => has(value, "host") ? createElsewhere : createHere),
);

export const sendRequest = v.object({
  id,
  text: v.string(),
  render: optionalNull(v.object({ vars: v.optional(v.record(v.string(), v.string()), {}) })),
  key: optionalNull(key),
  sender: optionalNull(id),
  mode: v.exactOptional(v.picklist(["queue", "steer", "interrupt"])),
});

export const interruptRequest = v.object({ id, allQueued: no, sender: optionalNull(id) });

export const waitRequest = v.object({
  ids,
  any: no,
  timeoutMs: v.optional(v.pipe(finite, v.minValue(0)), USUAL_WAIT_MS),
  pollMs: optionalNull(positive),
  receipt: optionalNull(name),
  background: no,
  until: v.exactOptional(v.picklist(["message", "next_turn", "goal"])),
});

export const statusRequest = v.object({ id, explain: no });
export const lastMessagesRequest = v.object({
  id,
  count: v.optional(count, 1),
  receipt: optionalNull(name),
});
export const logsRequest = v.object({ id, follow: no });
export const idRequest = v.object({ id });

export const eventsRequest = v.object({
  ids: optionalNull(ids),
  since: optionalNull(v.union([
    v.literal("now"),
    v.object({
      log: v.pipe(v.string(), v.regex(CURSOR_LOG)),
      seq: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    }),
  ], 'must be null, "now" or a cursor {"log", "seq"}')),
  follow: no,
});

export const listRequest = v.object({ all: no, group: optionalNull(group) });

export const respondRequest = v.object({
  id,
  answer: v.variant("kind", [
    v.object({ kind: v.literal("approve") }),
    v.object({ kind: v.literal("always") }),
    v.object({ kind: v.literal("deny"), message: optionalNull(v.string()) }),
    v.object({ kind: v.literal("options"), options: v.array(v.string()) }),
    v.object({ kind: v.literal("text"), text: v.string() }),
  ]),
  request: optionalNull(name),
  caller: optionalNull(id),
});

const tokenBudget = optionalNull(count);

export const goalRequest = v.object({
  id,
  change: optionalNull(v.variant("kind", [
    v.object({ kind: v.literal("begin"), objective: v.string(), tokenBudget }),
    v.object({
      kind: v.literal("adjust"),
      status: optionalNull(v.picklist(["active", "paused"])),
      tokenBudget,
    }),
    v.object({ kind: v.literal("clear") }),
  ])),
});

export const usageRequest = v.object({ ids: optionalNull(ids) });

/** Who names two of them means something else than what the first one says. */
function oneOf(...names: readonly string[]) {
  return v.check<unknown, string>(
    (value) => names.filter((name) => has(value, name)).length === 1,
    `must have exactly one of ${names.join(", ")}`,
  );
}

const caller = optionalNull(id);
/** Never by default: who may be meant is what keeps an agent from ending its elders. */
const scope = v.union(
  [v.literal("everyone"), v.object({ descendantsOf: id })],
  'must be "everyone" or {"descendantsOf": <id>}',
);

const killIds = v.object({ caller, ids, tree: no, everyone: no });
const killAll = v.object({ caller, all: v.literal(true), scope });
const killOlder = v.object({ caller, olderThanMs: v.pipe(positive, v.maxValue(MAX_AGE_MS)), scope });

export const killRequest = v.pipe(
  v.unknown(),
  oneOf("ids", "all", "olderThanMs"),
  v.lazy<typeof killIds | typeof killAll | typeof killOlder>((value) =>
    has(value, "ids") ? killIds : has(value, "all") ? killAll : killOlder
  ),
);

const pruneIds = v.object({ ids });
const pruneOlder = v.object({ olderThanMs: v.pipe(finite, v.minValue(0), v.maxValue(MAX_AGE_MS)) });

export const pruneRequest = v.pipe(
  v.unknown(),
  oneOf("ids", "olderThanMs"),
  v.lazy<typeof pruneIds | typeof pruneOlder>((value) => has(value, "ids") ? pruneIds : pruneOlder),
);

function has(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

export const resumeRequest = v.object({
  id,
  readyTimeoutMs: v.optional(v.pipe(positive, v.maxValue(MAX_READY_TIMEOUT_MS)), USUAL_READY_TIMEOUT_MS),
  caller,
});
