/**
 * Makes the bundle's dynamic imports lazy. Deno reads every file that a literal `import("./x.js")` names before the
 * program starts, whether it will be needed or not (50 microseconds each, measured with 2.9.6, and there are over a
 * hundred); a name that is computed is read when the import is reached.
 */

const [folder] = Deno.args;
if (folder === undefined) throw new Error("Usage: deno run -A build/lazy_imports.ts <folder of the bundle>");

let rewritten = 0;
for (const { name } of Deno.readDirSync(folder)) {
  if (!name.endsWith(".js")) continue;
  const path = `${folder}/${name}`;
  const text = Deno.readTextFileSync(path);
  const lazy = text.replace(/\bimport\(("\.\/[\w.-]+\.js")\)/g, (_, file: string) => {
    rewritten++;
    return `import(String(${file}))`;
  });
  Deno.writeTextFileSync(path, lazy);
}
if (rewritten === 0) {
  throw new Error(`There is no dynamic import in ${folder}: has the bundler changed its form?`);
}
