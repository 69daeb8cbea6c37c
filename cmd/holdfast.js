#!/usr/bin/env node
// The one program. Plain JavaScript (CommonJS by cmd/package.json), so that an old Node can read it and say what is wrong,
// and so that Node need not load its TypeScript parser, a third of the start-up, before compiled code is cached.
// Argv, environment and signals in, exit code out.
// @ts-check

const neededMajor = 26;

if (Number.parseInt(process.versions.node, 10) < neededMajor) {
  console.error(`error: holdfast needs Node ${neededMajor} or newer, this is ${process.version}.`);
  console.error('hint: In a checkout, `npm ci` brings Node 26: then run `npx holdfast …` or `npm run holdfast -- …`.');
  console.error('      Elsewhere install it from https://nodejs.org or with `nvm install 26`.');
  process.exitCode = 1;
} else {
  run();
}

function run() {
  cacheCompiledCode();
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      // The first one lets the command end cleanly and release its lock; the second one does not wait for that.
      if (interruption.signal.aborted) process.exit(130);
      interruption.abort(signal);
    });
  }
  // `holdfast ls | head` closes the pipe: not an error. The command ends as if interrupted, so that it releases its lock.
  process.stdout.on('error', (error) => {
    if (interruption.signal.aborted) return;
    if (!('code' in error) || error.code !== 'EPIPE') process.exit(1);
    interruption.abort('SIGPIPE');
  });
  void import('../src/cli/main.ts')
    .then(({ main }) =>
      main({
        argv: process.argv.slice(2),
        env: process.env,
        stdout: process.stdout,
        stderr: process.stderr,
        interruption: interruption.signal,
      }),
    )
    .then((exitCode) => process.exit(interruption.signal.reason === 'SIGPIPE' ? 0 : exitCode));
}

/** Keeps compiled code between runs: a third of the start-up. Worker threads find the folder through the variable. */
function cacheCompiledCode() {
  const { HOME, XDG_CACHE_HOME, NODE_COMPILE_CACHE } = process.env;
  const caches = XDG_CACHE_HOME || (HOME && `${HOME}/.cache`);
  if (!caches || NODE_COMPILE_CACHE) return;
  const folder = `${caches}/holdfast/compiled`;
  process.getBuiltinModule('node:module').enableCompileCache(folder);
  process.env.NODE_COMPILE_CACHE = folder;
}
