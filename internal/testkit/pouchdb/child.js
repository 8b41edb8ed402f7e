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

// Node closes a connection that was idle for 5 s, which meets a request now and then
// that is on its way. CouchDB keeps them for minutes.
const http = require('http');
const createServer = http.createServer;
http.createServer = (...args) => {
  const server = createServer(...args);
  server.keepAliveTimeout = 10 * 60 * 1000;
  return server;
};
