/** What is asked of `create` by the shortest command, as the core gets it. */

import type { CreateRequest } from "../../lib/service.ts";

export function createRequest(given: Partial<CreateRequest> = {}): CreateRequest {
  return {
    path: "/src/app",
    agent: null,
    mode: null,
    description: null,
    model: null,
    group: null,
    id: null,
    parent: null,
    agentArgs: [],
    trust: false,
    readyTimeoutMs: 60_000,
    worktree: null,
    key: null,
    ...given,
  };
}
