// Preloaded into the server: it ends with the process that started it, however
// that ends, by watching the other end of its standard input; and takes the
// folder that it was told to with it.
'use strict';

const fs = require('fs');
const folder = process.env.TESTKIT_REMOVE;

process.on('exit', () => {
  if (folder) {
    process.chdir('/');
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
process.stdin.on('end', () => process.exit());
process.stdin.on('error', () => process.exit());
process.stdin.resume();
