import assert from "node:assert/strict"

import { cast, ctl, inbox, next, ok, outcome, scenario } from "../lib/app.js"

/** A joined channel that also tells of its next error and of every join after the first. */
async function watched(app) {
  const channel = app.connect().channel(app.topic("echo"), { user: "ann" })
  const joins = []
  const waiting = []
  channel.join().receive("ok", (reply) => (waiting.length > 0 ? waiting.shift()(reply) : joins.push(reply)))
  const joined = () => (joins.length > 0 ? Promise.resolve(joins.shift()) : next((done) => waiting.push(done)))
  await joined()
  return { channel, failed: next((done) => channel.onError(done)), rejoined: joined }
}

scenario("a channel that crashes on a push is rejoined", async (app) => {
  const { channel, failed, rejoined } = await watched(app)
  cast(channel, "crash")
  assert.deepEqual(await failed, { reason: "channel_crash" })
  await rejoined()
  assert.deepEqual(await ok(channel.push("echo", { alive: true })), { alive: true })
})

scenario("an event the channel does not know is a crash", async (app) => {
  const { channel, failed, rejoined } = await watched(app)
  cast(channel, "unhandled")
  assert.deepEqual(await failed, { reason: "channel_crash" })
  await rejoined()
})

scenario("a channel that crashes on its own account is rejoined", async (app) => {
  const { channel, failed, rejoined } = await watched(app)
  await ctl("info", { topic: channel.topic, payload: { raise: "from outside" } })
  await failed
  await rejoined()
  assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
})

scenario("a channel that is killed is rejoined and hears broadcasts again", async (app) => {
  const { channel, failed, rejoined } = await watched(app)
  assert.equal((await ctl("kill", { topic: channel.topic })).count, 1)
  await failed
  await rejoined()

  const shouts = inbox(channel, "shout")
  await ok(channel.push("shout_reply", { n: 1 }))
  assert.equal(shouts.rest().length, 1)
})

scenario("a crash harms no other channel of the connection", async (app) => {
  const socket = app.connect()
  const [fragile, sound] = ["a", "b"].map((name) => socket.channel(`${app.topic("echo")}:${name}`))
  await Promise.all([ok(fragile.join()), ok(sound.join())])
  const closes = []
  socket.onClose((event) => closes.push(event))
  const failed = next((done) => fragile.onError(done))

  cast(fragile, "crash")
  await failed
  assert.deepEqual(await ok(sound.push("echo", { n: 1 })), { n: 1 })
  assert.deepEqual(closes, [])
})

scenario("a channel that stops is closed and not rejoined", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const closed = next((done) => channel.onClose(done))
  assert.equal((await outcome(channel.push("stop_reply"))).status, "ok")
  await closed
  assert.equal(channel.state, "closed")
})

scenario("a channel that stops with an error replies first", async (app) => {
  const { channel, failed, rejoined } = await watched(app)
  const reply = await outcome(channel.push("stop_error_reply"))
  assert.deepEqual(reply, { status: "error", response: { reason: "boom" } })
  await failed
  await rejoined()
})

scenario("what a channel pushes before it stops still arrives", async (app) => {
  const channel = app.connect().channel("selfstop:push_then_stop")
  const bye = next((done) => channel.on("bye", done))
  const closed = next((done) => channel.onClose(done))
  channel.join()
  assert.deepEqual(await bye, {})
  await closed
})
