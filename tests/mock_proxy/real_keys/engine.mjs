#!/usr/bin/env node
// Prisma's query engine as prisma-client-py starts and asks it (`engine -p PORT`, GraphQL over
// HTTP), made of the WebAssembly engine in npm's @prisma/client. The native one is in no package:
// Prisma downloads it from a server of its own, which not every machine may or should ask.
//
// Reads the schema from PRISMA_DML_PATH, as the native engine does, and DATABASE_URL.
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { jsonColumns, plain, toQuery } from './translate.mjs';

const require = createRequire(import.meta.url);

// prisma-client-py 0.15 asks for this engine, that of Prisma 5.17.
const VERSION = 'query-engine 393aa359c9ad4a4bb28630fb5613f9c281cde053';

const WAIT = { max_wait: 5000, timeout: 30000 }; // milliseconds
const NO_TRACE = '{}';

async function connected(datamodel) {
  const { Pool } = require('pg');
  const { PrismaPg } = require('@prisma/adapter-pg');
  const { bindAdapter } = require('@prisma/driver-adapter-utils');
  const pool = new Pool({ connectionString: process.env.DATABASE_URL });
  const options = {
    datamodel,
    logLevel: 'error',
    logQueries: false,
    datasourceOverrides: {},
    env: process.env,
    ignoreEnvVarErrors: true,
    engineProtocol: 'json',
  };
  const { QueryEngine } = webAssembly();
  const engine = new QueryEngine(options, () => {}, bindAdapter(new PrismaPg(pool)));
  await engine.connect(NO_TRACE);
  return engine;
}

function webAssembly() {
  const runtime = '@prisma/client/runtime/query_engine_bg.postgresql';
  const glue = require(`${runtime}.js`);
  const code = new WebAssembly.Module(fs.readFileSync(require.resolve(`${runtime}.wasm`)));
  const instance = new WebAssembly.Instance(code, { './query_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  return glue;
}

class Server {
  constructor(engine, models) {
    this.engine = engine;
    this.models = models;
  }

  async answer(url, body, transaction) {
    const [, first, id, end] = url.split('?')[0].split('/');
    if (first === 'status') return { status: 'ok' };
    if (first === 'metrics') return { counters: [], gauges: [], histograms: [] };
    if (first !== 'transaction') {
      const asked = JSON.parse(body);
      return asked.batch ? this.batch(asked, transaction) : this.run(asked.query, transaction);
    }
    if (id === 'start') return { id: await this.start(JSON.parse(body || '{}')) };
    await (end === 'commit' ? this.commit(id) : this.rollback(id));
    return {};
  }

  async run(document, transaction) {
    const { resultName, query } = toQuery(document, this.models);
    const text = await this.engine.query(JSON.stringify(query), NO_TRACE, transaction);
    const answer = JSON.parse(text);
    if (answer.errors) return answer;
    const [value] = Object.values(answer.data);
    return { data: { [resultName]: plain(value) } };
  }

  // Several queries, all or none of them where a transaction is asked for.
  async batch({ batch, transaction: together }, outer) {
    const own = together ? await this.start({}) : undefined;
    const batchResult = [];
    try {
      for (const { query } of batch) {
        const answer = await this.run(query, own ?? outer);
        if (answer.errors && own) {
          await this.rollback(own);
          return answer;
        }
        batchResult.push(answer);
      }
    } catch (error) {
      if (own) await this.rollback(own);
      throw error;
    }
    if (own) await this.commit(own);
    return { batchResult };
  }

  async start({ isolation_level, ...wanted }) {
    const options = JSON.stringify({ ...WAIT, ...wanted, isolation_level });
    return JSON.parse(await this.engine.startTransaction(options, NO_TRACE)).id;
  }

  commit(id) {
    return this.engine.commitTransaction(id, NO_TRACE);
  }

  rollback(id) {
    return this.engine.rollbackTransaction(id, NO_TRACE);
  }
}

// In the native engine's form: prisma-client-py makes an exception of it.
function failure(error) {
  const message = String(error.message ?? error);
  const userFacing = { is_panic: false, message, error_code: 'P2010', meta: {} };
  return { errors: [{ error: message, user_facing_error: userFacing }] };
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

function listen(server, port) {
  http.createServer(async (request, response) => {
    const body = await bodyOf(request);
    const transaction = request.headers['x-transaction-id'];
    const answer = await server.answer(request.url, body, transaction).catch(failure);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  }).listen(port, '127.0.0.1');
}

if (process.argv.includes('--version')) {
  console.log(VERSION);
} else {
  const schema = fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8');
  const port = Number(process.argv[process.argv.indexOf('-p') + 1]);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
  listen(new Server(await connected(schema), jsonColumns(schema)), port);
}
