// The article's service, in its own idiom: a job is published unconfirmed and not persistent, a marker in Redis says
// that it is pending, and a poll looks into Redis, then into MongoDB, and otherwise says that the job has expired.
'use strict';

const { randomUUID } = require('node:crypto');
const amqp = require('amqplib');
const Koa = require('koa');
const bodyParser = require('koa-bodyparser');
const Router = require('koa-router');
const mongoose = require('mongoose');
const { createClient } = require('redis');

const EXCHANGE = process.env.AMQP_EXCHANGE;
const QUEUE = process.env.AMQP_QUEUE;
const PREFIX = process.env.REDIS_PREFIX;
const MARKER_TTL_S = 600;

const Result = mongoose.model(
  'Result',
  new mongoose.Schema({ reqId: { type: String, index: true }, isOk: Boolean, text: String, errMsg: String }),
);

function prompt({ name, gender, birth }) {
  const visitor = name ? `我叫${name},` : '';
  return (
    '请你扮演一位博学而温厚的命理师,根据我的资料,用六百字以内的中文为我作一次命理解读,依次谈谈性情、事业、情缘与养心,' +
    `最后送我一句赠言。我的资料:${visitor}性别${gender},出生于${birth}。`
  );
}

async function connect() {
  const connection = await amqp.connect(process.env.AMQP_URL, { heartbeat: 60 });
  const channel = await connection.createChannel();
  await channel.assertExchange(EXCHANGE, 'direct', { durable: true });
  await channel.assertQueue(QUEUE);
  await channel.bindQueue(QUEUE, EXCHANGE, QUEUE);
  const redis = await createClient({ url: process.env.REDIS_URL }).connect();
  await mongoose.connect(process.env.MONGO_URL);
  return { channel, redis };
}

function routes({ channel, redis }) {
  const router = new Router({ prefix: '/predict' });

  router.post('/start', async (ctx) => {
    const { name, gender, birth } = ctx.request.body;
    if (!gender || !birth) {
      ctx.body = { isOk: false, model: {}, errMsg: 'gender and birth are needed' };
      return;
    }
    const id = randomUUID();
    const message = { id, msg: prompt({ name, gender, birth }) };
    channel.publish(EXCHANGE, QUEUE, Buffer.from(JSON.stringify(message)));
    await redis.set(PREFIX + id, JSON.stringify({ pending: true }), { EX: MARKER_TTL_S });
    ctx.body = { isOk: true, model: { reqId: id } };
  });

  router.post('/query', async (ctx) => {
    const { reqId } = ctx.request.body;
    const cached = await redis.get(PREFIX + reqId);
    const found = cached ? JSON.parse(cached) : await Result.findOne({ reqId }).lean();
    if (!found) {
      ctx.body = { isOk: false, model: { done: true }, errMsg: 'expired' };
    } else if (found.pending) {
      ctx.body = { isOk: true, model: { pending: true } };
    } else if (found.isOk) {
      ctx.body = { isOk: true, model: { done: true, text: found.text } };
    } else {
      ctx.body = { isOk: false, model: { done: true }, errMsg: found.errMsg };
    }
  });

  return router;
}

async function main() {
  const router = routes(await connect());
  const app = new Koa();
  app.use(bodyParser());
  app.use(router.routes());
  app.use(router.allowedMethods());
  app.listen(Number(process.env.HTTP_PORT), '127.0.0.1');
}

main();
