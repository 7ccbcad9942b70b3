// npm ci && npm run build: src/, style/ and schema/ become prebuilt/, which the wheel holds, so that pip needs no node.
//
// `jupyter labextension build` looks for a package of the exact JupyterLab that not every registry has; the builder is called as it
// would be, with the staging folder of the JupyterLab that Python finds ($PYTHON, or python3).

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });

const find = 'import os, jupyterlab; print(os.path.join(os.path.dirname(jupyterlab.__file__), "staging"))';
const staging = run(process.env.PYTHON ?? 'python3', '-c', find).trim();
rmSync('lib', { recursive: true, force: true });
rmSync('prebuilt', { recursive: true, force: true });
run(process.execPath, join('node_modules', 'typescript', 'bin', 'tsc'));
run(join('node_modules', '.bin', 'build-labextension'), '--core-path', staging, '.');

// What it was built from, so that a test can say when it is stale.
const files = ['package.json', ...['src', 'style', 'schema'].flatMap(folder => readdirSync(folder).map(name => `${folder}/${name}`))].sort();
const hash = createHash('sha256');
for (const file of files) hash.update(`${file}\n`).update(readFileSync(file));
writeFileSync(join('prebuilt', 'built_from.sha256'), `${hash.digest('hex')}\n`);
