/** `send @group`: one message to each session of a group; whatever happens with one, the others get it. */

import type { AppError } from "../errors.ts";
import type { SessionId } from "../session.ts";
import { assertNoneLeft, begunOnEach } from "./act_on_each.ts";
import { deliver, type MessageOptions, sendResult } from "./deliver.ts";
import { readMessage } from "./message.ts";
import type { Result } from "./output.ts";
import type { GroupTarget } from "./targets.ts";
import type { CliContext } from "./verb.ts";

export async function* sendToGroup(
  target: GroupTarget,
  options: MessageOptions,
  context: CliContext,
): AsyncIterable<Result> {
  // Read once, whether it comes from a file or from stdin.
  const source = { kind: "argument", text: await readMessage(options.source, context) } as const;
  const send = async (id: SessionId): Promise<Result> => {
    const sent = sendResult(await deliver({ ...options, source, id }, context));
    return { ...sent, text: `${id}\t${sent.json.result}` };
  };
  assertNoneLeft(yield* begunOnEach(target, "send", options.sender, context, send, failed), "sent");
}

/** Its word is the name of the error, such as `agent_gone`. */
function failed(id: SessionId, failure: AppError): Result {
  const { code, message } = failure;
  return {
    text: `${id}\t${code}`,
    json: { id, result: null, receipt: null, reason: message, evidence: null, repeated: false, error: code },
    failure,
  };
}
