// The article's consumer: amqplib with a prefetch of 10, the chatgpt package, the answer to Redis and MongoDB.
// As there, neither write is awaited before the message is acknowledged. Its polyfills of fetch, which Node 20 has
// itself, are left out, and so is its second acknowledgement, which closes the channel.
import { connect } from "amqplib";
import { ChatGPTAPI } from "chatgpt";
import mongoose from "mongoose";
import { createClient } from "redis";

const EXCHANGE = "chat-gpt-exchange";
const QUEUE = "request-queue";
const NAMESPACE = "CHATGPT:";

const { AMQP_URL, REDIS_URL, MONGO_URL, OPENAI_BASE_URL, PREFETCH = "10" } = process.env;

const Result = mongoose.model(
  "Result",
  new mongoose.Schema({
    reqId: { type: String, required: true },
    result: { type: Object },
    createdAt: { type: Date, default: Date.now, index: { expires: "1h" } },
  }),
);

const api = new ChatGPTAPI({ apiKey: "sk-none", apiBaseUrl: OPENAI_BASE_URL });

async function ask(msg, options) {
  try {
    return { isOk: true, model: await api.sendMessage(msg, options) };
  } catch (error) {
    return { isOk: false, errMsg: error.message };
  }
}

await mongoose.connect(MONGO_URL);
const redis = createClient({ url: REDIS_URL });
await redis.connect();
const channel = await (await connect(AMQP_URL)).createChannel();
await channel.assertExchange(EXCHANGE, "direct", { durable: true });
await channel.assertQueue(QUEUE);
await channel.bindQueue(QUEUE, EXCHANGE, QUEUE);
await channel.prefetch(Number(PREFETCH));
await channel.consume(QUEUE, async (message) => {
  try {
    const { id, msg, options } = JSON.parse(message.content.toString());
    const result = await ask(msg, options);
    redis.set(`${NAMESPACE}${id}`, JSON.stringify(result), { EX: 600 });
    new Result({ reqId: id, result }).save().catch(() => {});
  } catch {}
  channel.ack(message);
});
