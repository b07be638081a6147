'use strict';
// What the Node client programs share: the expected figures, and one line of output for each check.
const fs = require('fs');
const path = require('path');

const guarded = (process.env.GUARDED || 'yes') === 'yes';
const truth = JSON.parse(fs.readFileSync(process.env.TRUTH, 'utf8'));
const program = path.basename(process.argv[1], '.js');

// How many rows the purpose may see; everything while the database is not guarded.
const permitted = (purpose, table) => truth[guarded ? purpose : 'all'][table];

function report(good, name, detail = '') {
  console.log(`${good ? 'ok' : 'not ok'} - ${program}: ${name}${detail}`);
}

function equal(name, actual, expected) {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  report(a === e, name, a === e ? '' : `: ${a}, not ${e}`);
}

// The promise ends in an ordinary database error, insufficient_privilege.
async function refused(name, action) {
  if (!guarded) return;
  try {
    report(false, name, `: not refused, gave ${JSON.stringify(await action()).slice(0, 120)}`);
  } catch (error) {
    report(error.code === '42501', name, error.code === '42501' ? '' : `: ${error.code} ${error.message}`);
  }
}

function run(main) {
  main().catch((error) => {
    report(false, 'ran to its end', `: ${error.stack}`);
    process.exitCode = 1;
  });
}

module.exports = { equal, guarded, permitted, refused, report, run, truth };
