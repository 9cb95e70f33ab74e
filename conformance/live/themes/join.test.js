import assert from "node:assert/strict"

import { binaryBothWays, next, ok, outcome, scenario, values } from "../lib/app.js"

scenario("a join is answered with the reply of the channel", async (app) => {
  const topic = app.topic("joinreply")
  const reply = await ok(app.connect().channel(topic, { name: "ann" }).join())
  assert.deepEqual(reply, { topic, you_sent: { name: "ann" }, n: 1 })
})

scenario("a join without reply is answered with an empty object", async (app) => {
  const reply = await ok(app.connect().channel(app.topic("echo")).join())
  assert.deepEqual(reply, {})
})

scenario("a join reply may be any JSON", async (app) => {
  const reply = await ok(app.connect().channel("joinreply:list").join())
  assert.deepEqual(reply, [1, 2, 3])
})

scenario("a join reply may be binary", async (app) => {
  const reply = await ok(app.connect().channel("joinreply:binary").join())
  assert.deepEqual(values(reply), [1, 2, 3])
}, binaryBothWays)

scenario("a refused join gets the reason", async (app) => {
  const channel = app.connect().channel(app.topic("deny"))
  assert.deepEqual(await outcome(channel.join()), { status: "error", response: { reason: "unauthorized" } })
})

scenario("a refused join leaves the other channels of the connection alone", async (app) => {
  const socket = app.connect()
  const echo = socket.channel(app.topic("echo"))
  await ok(echo.join())
  assert.equal((await outcome(socket.channel(app.topic("deny")).join())).status, "error")
  assert.deepEqual(await ok(echo.push("echo", { still: "here" })), { still: "here" })
})

scenario("a topic without a route is refused as unmatched", async (app) => {
  const channel = app.connect().channel(app.topic("nowhere"))
  assert.deepEqual(await outcome(channel.join()), { status: "error", response: { reason: "unmatched topic" } })
})

scenario("a join that crashes says so", async (app) => {
  const channel = app.connect().channel(app.topic("joincrash"))
  assert.deepEqual(await outcome(channel.join()), { status: "error", response: { reason: "join crashed" } })
})

scenario("the join reply comes before what the channel says right after the join", async (app) => {
  const channel = app.connect().channel(app.topic("afterpush"))
  const order = []
  const welcome = next((done) => channel.on("welcome", (payload) => done(order.push("welcome") && payload)))
  const joined = next((done) => channel.on("joined", (payload) => done(order.push("joined") && payload)))
  channel.join().receive("ok", () => order.push("reply"))

  assert.deepEqual(await welcome, { n: 1 })
  assert.deepEqual(await joined, { n: 2 })
  assert.equal(order[0], "reply")
})

scenario("pushes made before the join reply are sent after it", async (app) => {
  const channel = app.connect().channel(app.topic("slowjoin"), { ms: 50 })
  const joined = ok(channel.join())
  const pushed = ok(channel.push("echo", { early: true }))
  assert.deepEqual(await joined, { slept: 50 })
  assert.deepEqual(await pushed, { early: true })
})

scenario("many channels live on one connection", async (app) => {
  const socket = app.connect()
  const channels = Array.from({ length: 20 }, (_, i) => socket.channel(`${app.topic("echo")}:${i}`))
  await Promise.all(channels.map((channel) => ok(channel.join())))
  const replies = await Promise.all(channels.map((channel, i) => ok(channel.push("echo", { i }))))
  assert.deepEqual(replies, channels.map((_, i) => ({ i })))
})
