// node_client.mjs PLACE: openai-node asks the server at PLACE; what it got is told as JSON, for test_node.py to check. Its package lies where NODE_CLIENTS says.
import {createRequire} from 'node:module'

const OpenAI = createRequire(process.env.NODE_CLIENTS + '/')('openai')
const client = new OpenAI({baseURL: process.argv[2] + '/v1', apiKey: 'x', maxRetries: 0})
const messages = [{role: 'system', content: 'Be brief.'}, {role: 'user', content: [{type: 'text', text: 'hello'}]}]
const ask = {model: 'any', messages, max_tokens: 6, temperature: 0, ignore_eos: true}
const tools = [{type: 'function', function: {name: 'look', parameters: {
  type: 'object', properties: {city: {enum: ['Paris', 'Rome']}}, required: ['city'], additionalProperties: false}}}]
const got = {models: []}

for await (const model of client.models.list()) got.models.push(model.id)
got.model = await client.models.retrieve('tiny')
got.chat = await client.chat.completions.create(ask)
got.chunks = []
for await (const chunk of await client.chat.completions.create({...ask, stream: true, stream_options: {include_usage: true}})) got.chunks.push(chunk)
got.whole = await client.chat.completions.stream(ask).finalChatCompletion()
got.called = await client.chat.completions.stream({...ask, max_tokens: 300, ignore_eos: false, temperature: 0.7, seed: 3, tools, tool_choice: 'required', parallel_tool_calls: false}).finalChatCompletion()
got.completion = await client.completions.create({model: 'any', prompt: 'hello', max_tokens: 6, temperature: 0, echo: true, logprobs: 1, ignore_eos: true})
got.packed = (await client.embeddings.create({model: 'any', input: ['a', 'b']})).data.map(d => Array.from(d.embedding))
got.embeddings = (await client.embeddings.create({model: 'any', input: ['a', 'b'], encoding_format: 'float'})).data.map(d => d.embedding)
const response = {model: 'any', input: 'hello', instructions: 'Be brief.', max_output_tokens: 6, temperature: 0, ignore_eos: true}
got.response = await client.responses.create(response)
got.events = []
for await (const event of client.responses.stream(response)) got.events.push(event.type)
try {
  await client.chat.completions.create({...ask, temperature: -1})
} catch (error) {
  got.error = {kind: error.constructor.name, status: error.status, param: error.param, message: error.message}
}
console.log(JSON.stringify(got))
