'use strict';
// Knex over node-postgres: query builder, transactions, a pool, named (server-side prepared) statements.
const knex = require('knex');
const { equal, guarded, permitted, refused, run, truth } = require('./check');

const open = (user) => knex({
  client: 'pg',
  connection: { host: process.env.PGHOST, database: process.env.PGDATABASE, user },
  pool: { min: 0, max: 2 },
});
const count = async (query) => Number((await query.count('* as n'))[0].n);

run(async () => {
  const app = open('crm_app');
  const mailer = open('mailer');
  try {
    for (const table of ['customers', 'orders', 'order_lines']) {
      equal(`crm_app counts ${table}`, await count(app(table)), permitted('all', table));
    }
    for (const table of ['customers', 'email_addresses', 'referrals']) {
      equal(`mailer counts ${table}`, await count(mailer(table)), permitted('marketing.email', table));
    }
    equal('join', await count(mailer('customers as c').join('email_addresses as e', 'e.customer_id', 'c.id')),
      permitted('marketing.email', 'email_addresses'));
    equal('pluck with a condition', (await mailer('customers').where({ region: 'Bavaria' }).pluck('id')).length,
      permitted('marketing.email', 'bavarians'));
    equal('first() of who did not agree', (await mailer('customers').where({ id: truth.neither }).first()) === undefined, guarded);
    let streamed = 0;
    for await (const row of mailer('email_addresses').select('id').stream()) streamed += row ? 1 : 0;
    equal('stream', streamed, permitted('marketing.email', 'email_addresses'));

    for (const purpose of ['marketing.phone', 'marketing.email']) {
      await mailer.transaction(async (trx) => {
        await trx.raw(`SET LOCAL privacy_guard.purpose = '${purpose}'`);
        equal(`transaction for ${purpose}`, await count(trx('customers')), permitted(purpose, 'customers'));
      });
    }

    // A named statement is prepared once in a connection and executed under two purposes in turn.
    const client = await mailer.client.acquireConnection();
    try {
      for (const purpose of ['marketing.email', 'marketing.phone']) {
        const seen = new Set();
        for (let i = 0; i < 7; i++) {
          await client.query('BEGIN');
          await client.query("SELECT set_config('privacy_guard.purpose', $1, true)", [purpose]);
          const result = await client.query({ name: 'in-region', text: 'SELECT count(*)::int AS n FROM customers WHERE region = $1', values: ['Bavaria'] });
          await client.query('COMMIT');
          seen.add(result.rows[0].n);
        }
        equal(`prepared statement for ${purpose}`, [...seen], [permitted(purpose, 'bavarians')]);
      }
    } finally {
      await mailer.client.releaseConnection(client);
    }

    const interaction = (customer_id) => ({
      customer_id, occurred_at: new Date(), channel: 'email', direction: 'outbound', agent: 'mailer', subject: 'Newsletter',
    });
    await mailer.transaction(async (trx) => {
      const rows = await trx('interactions').insert(interaction(truth.email_only)).returning('customer_id');
      equal('insert for who agreed', Number(rows[0].customer_id), truth.email_only);
      await trx.rollback();
    }).catch((error) => { if (!/rejected with non-error/.test(error.message)) throw error; });
    await refused('insert for who did not', () => mailer('interactions').insert(interaction(truth.neither)));
    await refused('batch with one who did not', () => mailer.batchInsert('interactions', [interaction(truth.email_only), interaction(truth.neither)]));
    equal('update of who did not agree finds nothing',
      (await mailer('email_addresses').where({ contact_id: truth.neither }).update({ bounced_at: null })) > 0, guarded ? false : true);
    await refused('no rule for orders', () => mailer('orders').first());
    await refused('not entitled', () => mailer.transaction(async (trx) => {
      await trx.raw("SET LOCAL privacy_guard.purpose = 'billing'");
      return count(trx('customers'));
    }));
  } finally {
    await app.destroy();
    await mailer.destroy();
  }
});
