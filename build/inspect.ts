/**
 * Reads what `deno compile` has put into an executable, without running it. The format is that of Deno 2.9: between
 * two marks the metadata as JSON, npm packages, remote modules, and the embedded files.
 */

import * as v from "valibot";

const MARK = "d3n0l4nd";
const METADATA_START = '{"argv"';
/** The lengths of the npm snapshot and of the lists of specifiers, redirects and remote modules. */
const FOREIGN_CODE_BYTES = 8 + 3 * 4;
const LENGTH_BYTES = 8;

const Everything = v.pipe(v.array(v.string()), v.empty());
const Nothing = v.null();
/** Only what is asked about; the rest stays in `Inspection.raw`. */
const Metadata = v.object({
  argv: v.array(v.string()),
  app_version: v.nullable(v.string()),
  code_cache_key: v.nullable(v.unknown()),
  entrypoint_key: v.string(),
  env_vars_from_env_file: v.record(v.string(), v.string()),
  permissions: v.looseObject({ prompt: v.boolean() }),
});
const AllPermissions = v.object({
  allow_env: Everything,
  allow_ffi: Everything,
  allow_net: Everything,
  allow_read: Everything,
  allow_run: Everything,
  allow_sys: Everything,
  allow_write: Everything,
  deny_env: Nothing,
  deny_ffi: Nothing,
  deny_net: Nothing,
  deny_read: Nothing,
  deny_run: Nothing,
  deny_sys: Nothing,
  deny_write: Nothing,
});

interface FileEntry {
  readonly File: { readonly n: string; readonly o: readonly [number, number] };
}
interface FolderEntry {
  readonly Dir: { readonly n: string; readonly e: readonly Entry[] };
}
type Entry = FileEntry | FolderEntry;
const Entry: v.GenericSchema<unknown, Entry> = v.union([
  v.object({ File: v.object({ n: v.string(), o: v.tuple([v.number(), v.number()]) }) }),
  v.object({ Dir: v.object({ n: v.string(), e: v.array(v.lazy(() => Entry)) }) }),
]);

export interface Inspection {
  readonly version: string | null;
  /** Baked arguments and environment, which every call would get. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly allowsEverything: boolean;
  readonly prompts: boolean;
  readonly codeCache: boolean;
  /** The program, by its path among the files. */
  readonly main: string;
  /** npm packages or modules from elsewhere, beside the files. */
  readonly foreignCode: boolean;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** @throws Error when it is not the product of a `deno compile` that this knows. */
export async function inspect(executable: string): Promise<Inspection> {
  const bytes = await Deno.readFile(executable);
  const start = findMetadata(bytes);
  if (start === null) throw new Error(`Cannot inspect "${executable}": deno compile has put nothing into it`);
  const reader = new Reader(bytes, start - LENGTH_BYTES);
  const metadata = v.parse(Metadata, JSON.parse(reader.text()));
  const foreign = reader.take(FOREIGN_CODE_BYTES);
  const foreignCode = foreign.some((byte) => byte !== 0);
  const files = new Map<string, Uint8Array>();
  if (!foreignCode) {
    const entries = v.parse(v.array(Entry), JSON.parse(reader.text()));
    collect(entries, "", reader.block(), files);
    if (latin1(reader.take(MARK.length)) !== MARK) {
      throw new Error(`Cannot inspect "${executable}": unknown format`);
    }
  }
  return {
    version: metadata.app_version,
    argv: metadata.argv,
    env: metadata.env_vars_from_env_file,
    allowsEverything: v.is(AllPermissions, metadata.permissions),
    prompts: metadata.permissions.prompt,
    codeCache: metadata.code_cache_key !== null,
    main: metadata.entrypoint_key,
    foreignCode,
    files,
  };
}

/** What is wrong with an executable that should be the bundle in `folder` and nothing else; empty: nothing. */
export async function faultsOf(found: Inspection, folder: string, version: string): Promise<string[]> {
  const faults: string[] = [];
  const check = (holds: boolean, fault: string) => holds || faults.push(fault);
  check(found.version === version, `its version is ${found.version}, not ${version}`);
  check(found.allowsEverything, "it lacks permissions");
  check(!found.prompts, "it would prompt");
  check(!found.codeCache, "it would write a code cache");
  check(
    found.argv.length === 0 && Object.keys(found.env).length === 0,
    "arguments or variables are baked in",
  );
  check(!found.foreignCode, "npm packages or remote modules are embedded");
  const root = found.main.replace(/main\.js$/, "");
  const expected = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(folder)) {
    expected.set(`${root}${name}`, await Deno.readFile(`${folder}/${name}`));
  }
  check(expected.has(found.main), `its program is ${found.main}`);
  for (const [path, content] of expected) {
    const embedded = found.files.get(path);
    if (embedded === undefined) faults.push(`${path} is not embedded`);
    else check(same(embedded, content), `${path} is embedded with other content`);
  }
  for (const path of found.files.keys()) check(expected.has(path), `${path} is embedded, too`);
  return faults;
}

class Reader {
  constructor(private readonly bytes: Uint8Array, private at: number) {}

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new Error("Cannot inspect the executable: it is cut off");
    return this.bytes.subarray(this.at, this.at += length);
  }
  /** What follows its own length. */
  block(): Uint8Array {
    const length = this.take(LENGTH_BYTES);
    return this.take(Number(new DataView(length.buffer, length.byteOffset).getBigUint64(0, true)));
  }
  text(): string {
    return new TextDecoder().decode(this.block());
  }
}

/** Deno's own code has the mark, too; the metadata follow the mark and their length. */
function findMetadata(bytes: Uint8Array): number | null {
  const text = latin1(bytes);
  for (let at = text.indexOf(METADATA_START); at !== -1; at = text.indexOf(METADATA_START, at + 1)) {
    const mark = at - LENGTH_BYTES - MARK.length;
    if (mark >= 0 && text.startsWith(MARK, mark)) return at;
  }
  return null;
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function collect(
  entries: readonly Entry[],
  folder: string,
  data: Uint8Array,
  files: Map<string, Uint8Array>,
): void {
  for (const entry of entries) {
    if ("Dir" in entry) collect(entry.Dir.e, `${folder}${entry.Dir.n}/`, data, files);
    else {
      const [start, length] = entry.File.o;
      files.set(`${folder}${entry.File.n}`, data.subarray(start, start + length));
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
