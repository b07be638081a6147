'use strict';
// PostGraphile: a GraphQL API made from the tables, with a purpose for each request in pgSettings.
const http = require('http');
const os = require('os');
const path = require('path');
const fs = require('fs');
const { Pool } = require('pg');
const { postgraphile } = require('postgraphile');
const { equal, guarded, permitted, report, run, truth } = require('./check');

const socketDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'graphql-'));
const socketPath = path.join(socketDirectory, 'http');

function ask(query, purpose) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...(purpose && { 'x-purpose': purpose }) };
    const request = http.request({ socketPath, path: '/graphql', method: 'POST', headers }, (response) => {
      let body = '';
      response.on('data', (part) => { body += part; });
      response.on('end', () => resolve(JSON.parse(body)));
    });
    request.on('error', reject);
    request.end(JSON.stringify({ query }));
  });
}

const refused = async (name, query, purpose) => {
  if (!guarded) return;
  const answer = await ask(query, purpose);
  const code = answer.errors && (answer.errors[0].errcode || (answer.errors[0].extensions || {}).errcode);
  report(code === '42501', name, code === '42501' ? '' : `: ${JSON.stringify(answer).slice(0, 300)}`);
};

run(async () => {
  const pool = new Pool({ host: process.env.PGHOST, database: process.env.PGDATABASE, user: 'mailer', max: 2 });
  const server = http.createServer(postgraphile(pool, 'crm', {
    dynamicJson: true,
    ignoreRBAC: false,
    graphileBuildOptions: { pgUsePartitionedParent: true },
    disableQueryLog: true,
    handleErrors: (errors) => errors.map((e) => ({ message: e.message, path: e.path, errcode: e.originalError && e.originalError.code })),
    pgSettings: async (request) => (request.headers['x-purpose'] ? { 'privacy_guard.purpose': request.headers['x-purpose'] } : {}),
  }));
  await new Promise((resolve) => { server.listen(socketPath, resolve); });
  try {
    const customers = '{ allCustomers { totalCount } }';
    const total = (answer) => (answer.data && answer.data.allCustomers ? answer.data.allCustomers.totalCount : answer.errors);
    equal('the default purpose of the role', total(await ask(customers)), permitted('marketing.email', 'customers'));
    for (let i = 0; i < 7; i++) {
      const [email, phone] = await Promise.all(['marketing.email', 'marketing.phone'].map((p) => ask(customers, p)));
      if (i === 0 || i === 6) {
        equal(`a purpose for each request, round ${i + 1}`, [total(email), total(phone)],
          [permitted('marketing.email', 'customers'), permitted('marketing.phone', 'customers')]);
      }
    }
    equal('after them the default again', total(await ask(customers)), permitted('marketing.email', 'customers'));

    const nested = await ask('{ allCustomers(condition: {region: "Bavaria"}) { totalCount nodes { id emailAddressesByCustomerId { nodes { customerId address } } } } }');
    equal('filter', nested.data.allCustomers.totalCount, permitted('marketing.email', 'bavarians'));
    equal('nested addresses belong to their customer', nested.data.allCustomers.nodes.every((c) =>
      c.emailAddressesByCustomerId.nodes.every((e) => e.customerId === c.id)), true);
    const hidden = await ask(`{ customerById(id: "${truth.neither}") { id } }`);
    equal('who did not agree', hidden.data.customerById === null, guarded);

    await refused('no rule for orders', '{ allOrders { totalCount } }');
    await refused('not entitled', customers, 'analytics');
    for (const purpose of ['curiosity', 'marketing.email; DROP TABLE customers']) {
      equal(`no data for ${purpose}`, Boolean((await ask(customers, purpose)).errors), guarded);
    }

    const create = (customer) => `mutation { createInteraction(input: {interaction: {customerId: "${customer}", occurredAt: "${new Date().toISOString()}",
      channel: "email", direction: "outbound", agent: "graphql-test", subject: "Newsletter"}}) { interaction { customerId } } }`;
    await refused('mutation for who did not agree', create(truth.neither));
    const made = await ask(create(truth.email_only));
    if (made.errors) report(false, 'mutation for who agreed', `: ${JSON.stringify(made.errors)}`);
    else equal('mutation for who agreed', made.data.createInteraction.interaction.customerId, String(truth.email_only));
  } finally {
    server.close();
    await pool.end();
    fs.rmSync(socketDirectory, { recursive: true });
    // The row that the mutation left would be in the way of exact counts.
    const app = new Pool({ host: process.env.PGHOST, database: process.env.PGDATABASE, user: 'crm_app', max: 1 });
    await app.query("DELETE FROM interactions WHERE agent = 'graphql-test'");
    await app.end();
  }
});
