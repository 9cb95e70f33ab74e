import assert from "node:assert/strict"

import { ctl, inbox, next, ok, outcome, scenario } from "../lib/app.js"

scenario("a leave is answered and closes the channel", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const closed = next((done) => channel.onClose(done))
  assert.equal((await outcome(channel.leave())).status, "ok")
  await closed
  assert.equal(channel.state, "closed")
})

/**
 * Leaves, and waits until the server says that this is done. The client takes a leave for done at once; but what the server
 * gets while the channel ends may get lost (protocol §9.2).
 */
async function leaveForGood(channel) {
  const closed = next((done) => channel.socket.onMessage(({ event }) => event === "phx_close" && done()))
  await ok(channel.leave())
  await closed
}

scenario("a channel that was left hears nothing more", async (app) => {
  const topic = app.topic("echo")
  const [stays, goes] = await Promise.all([app.join(topic), app.join(topic)])
  await leaveForGood(goes)

  const messages = []
  goes.socket.onMessage((message) => messages.push(message))
  await ok(stays.push("shout_reply", { n: 1 }))
  const other = goes.socket.channel(`${topic}:other`)
  await ok(other.join())
  assert.deepEqual(messages.filter((message) => message.event === "shout"), [])
})

scenario("a topic can be joined again after a leave", async (app) => {
  const topic = app.topic("echo")
  const channel = await app.join(topic)
  const { socket } = channel
  await leaveForGood(channel)

  const again = socket.channel(topic)
  await ok(again.join())
  const news = inbox(again, "news")
  await ctl("broadcast", { topic, event: "news", payload: { n: 1 } })
  assert.deepEqual((await news.next()).payload, { n: 1 })
})

scenario("a push on a topic that was left is refused as unmatched", async (app) => {
  const topic = app.topic("echo")
  const channel = await app.join(topic)
  const { socket } = channel
  await leaveForGood(channel)

  const ref = socket.makeRef()
  const reply = next((done) => socket.onMessage((message) => message.ref === ref && done(message)))
  socket.push({ topic, event: "echo", payload: {}, ref, join_ref: null })
  assert.deepEqual((await reply).payload, { status: "error", response: { reason: "unmatched topic" } })
})
