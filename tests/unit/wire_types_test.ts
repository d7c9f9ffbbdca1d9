/** The schemas of the wire are exactly the types of SessionService: `deno check` fails where they differ. */

import { strictEqual } from "node:assert/strict";
import type * as v from "valibot";
import type { SessionService } from "../../lib/service.ts";
import { type Operation, OPERATIONS, type Requests, type Results } from "../../lib/wire.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Without `readonly`, intersections as one type, all the way down. */
type Plain<T> = unknown extends T ? unknown
  : T extends string | number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Plain<Item>[]
  : { -readonly [Key in keyof T]: Plain<T[Key]> };

type Same<A, B> = Equal<Plain<A>, Plain<B>>;

/** What the interface itself says an operation answers. */
type Answered<Op extends Operation> = ReturnType<SessionService[Op]> extends Promise<infer Value> ? Value
  : ReturnType<SessionService[Op]> extends AsyncIterable<infer Item> ? Item
  : never;

/** How the interface is called: a parameter that is added there has no place in the request yet. */
interface Called extends Record<Operation, (...all: never[]) => void> {
  expand(request: Requests["expand"]): void;
  create(request: Requests["create"], signal: AbortSignal): void;
  send(request: Requests["send"], signal: AbortSignal): void;
  interrupt(request: Requests["interrupt"], signal: AbortSignal): void;
  wait(request: Requests["wait"], signal: AbortSignal): void;
  status(id: string, options?: { readonly explain: boolean }): void;
  lastMessages(id: string, count: number, receipt?: string | null): void;
  logs(id: string, options?: { readonly follow: boolean }, signal?: AbortSignal): void;
  events(request: Requests["events"], signal: AbortSignal): void;
  list(request: Requests["list"]): void;
  inspect(id: string): void;
  respond(request: Requests["respond"], signal: AbortSignal): void;
  goal(request: Requests["goal"], signal: AbortSignal): void;
  usage(ids: readonly string[] | null): void;
  kill(request: Requests["kill"]): void;
  resume(request: Requests["resume"], signal: AbortSignal): void;
  prune(request: Requests["prune"]): void;
  attachCommand(id: string): void;
}

type Proof = {
  [Op in Operation]: [
    request: Same<v.InferOutput<(typeof OPERATIONS)[Op]["request"]>, Requests[Op]>,
    result: Same<v.InferOutput<(typeof OPERATIONS)[Op]["result"]>, Results[Op]>,
    answered: Same<Results[Op], Answered<Op>>,
    called: Equal<Parameters<SessionService[Op]>, Parameters<Called[Op]>>,
  ];
};
type Proven = { [Op in Operation]: [true, true, true, true] };

/** An error here: the operation in which schema and interface differ, and in which part. */
const proof: (given: Proof) => Proven = (given) => given;

Deno.test("every operation of the wire is typed as the service has it", () => {
  strictEqual(typeof proof, "function");
  strictEqual(Object.keys(OPERATIONS).length, 18);
});
