// Run a file in Pyodide, under Node: FOLDER is a Pyodide with its lock file, OUT is its /out.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, out, script, packages] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: folder, packages: JSON.parse(packages) });
for (const [at, root] of [["/site", folder], ["/out", out]]) {
  python.FS.mkdirTree(at);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, at);
}
await python.runPythonAsync(readFileSync(script, "utf8"));
