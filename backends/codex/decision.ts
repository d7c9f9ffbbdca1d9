/** The answer to a request as the server understands it. Pure. */

import type { FittingAnswer } from "../../lib/session.ts";
import type { Answer, ServerRequest, ServerRequestMethod } from "./frames.ts";

/** An answer for `Connection.answer()`. */
export type AnswerFrame = {
  [M in ServerRequestMethod]: { readonly method: M; readonly result: Answer<M> };
}[ServerRequestMethod];

export interface Decision {
  readonly frame: AnswerFrame;
  /** What the caller wants to tell the model and no answer can carry: to be steered into the same turn after it. */
  readonly say: string | null;
}

/**
 * Null for a request that this version has no answer to, and for an answer that fits no such request.
 *
 * `always` holds for the rest of this session. Codex's lasting rule for commands (`acceptWithExecpolicyAmendment`) is
 * never used: it would allow them in every later session, too.
 */
export function decisionOf(request: ServerRequest, answer: FittingAnswer): Decision | null {
  const say = answer.kind === "deny" ? answer.message : null;
  switch (request.method) {
    case "item/commandExecution/requestApproval":
    case "item/fileChange/requestApproval": {
      const decision = verdictOf(answer);
      return decision === null ? null : { frame: { method: request.method, result: { decision } }, say };
    }
    case "item/permissions/requestApproval": {
      const verdict = verdictOf(answer);
      if (verdict === null) return null;
      return {
        frame: {
          method: request.method,
          result: {
            permissions: verdict === "decline" ? {} : granted(request.params.permissions),
            scope: verdict === "acceptForSession" ? "session" : "turn",
          },
        },
        say,
      };
    }
    case "item/tool/requestUserInput": {
      if (answer.kind !== "answers" && answer.kind !== "deny") return null;
      const picks = answer.kind === "answers" ? answer.answers : [];
      const answers = request.params.questions.flatMap(({ id }, index) => {
        const given = picks[index];
        return given === undefined
          ? []
          : [[id, { answers: [...given] }] satisfies [string, { answers: string[] }]];
      });
      return { frame: { method: request.method, result: { answers: Object.fromEntries(answers) } }, say };
    }
    case "other":
      return null;
  }
}

function verdictOf(answer: FittingAnswer): "accept" | "acceptForSession" | "decline" | null {
  switch (answer.kind) {
    case "approve":
      return "accept";
    case "always":
      return "acceptForSession";
    case "deny":
      return "decline";
    case "answers":
      return null;
  }
}

type Granted = Answer<"item/permissions/requestApproval">["permissions"];

/** Exactly what was asked for. */
function granted({ network, fileSystem }: {
  readonly network: unknown;
  readonly fileSystem: unknown;
}): Granted {
  return {
    ...(network === null || network === undefined
      ? {}
      : { network: network as NonNullable<Granted["network"]> }),
    ...(fileSystem === null || fileSystem === undefined
      ? {}
      : { fileSystem: fileSystem as NonNullable<Granted["fileSystem"]> }),
  };
}
