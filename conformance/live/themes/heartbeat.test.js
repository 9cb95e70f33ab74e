import assert from "node:assert/strict"

import { next, ok, scenario } from "../lib/app.js"

const websocket = { only: (wire) => !wire.longPoll }

scenario("heartbeats are answered, so the connection stays", async (app) => {
  // The interval is also how long the client waits for the answer.
  const socket = app.connect({ heartbeatIntervalMs: 1_000 })
  const closes = []
  socket.onClose((event) => closes.push(event))
  let answers = 0
  await next((done) =>
    socket.onMessage(({ topic, event, payload }) => {
      assert.deepEqual({ topic, event, payload }, {
        topic: "phoenix",
        event: "phx_reply",
        payload: { status: "ok", response: {} },
      })
      if (++answers === 2) done()
    }),
  )
  assert.deepEqual(closes, [])
}, websocket)

scenario("a ping measures the way to the server and back", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const rtt = await next((done) => assert.ok(channel.socket.ping(done)))
  assert.ok(rtt >= 0)
}, websocket)

// Phoenix itself makes the heartbeat wait here: an intended difference.
scenario("a slow join holds no heartbeat up", async (app) => {
  const socket = app.connect()
  await next((done) => socket.onOpen(done))
  const order = []
  const slow = ok(socket.channel(app.topic("slowjoin"), { ms: 1_000 }).join()).then(() => order.push("join"))
  await next((done) => socket.ping(done))
  order.push("heartbeat")
  await slow
  assert.deepEqual(order, ["heartbeat", "join"])
}, websocket)

scenario("a connection that stays silent is closed, and the client comes back", async (app) => {
  const socket = app.connect({ mount: "/short", heartbeatIntervalMs: 60_000 })
  const channel = socket.channel(app.topic("echo"))
  await ok(channel.join())
  const event = await next((done) => socket.onClose(done))
  assert.equal(event.code, 1002)
  await next((done) => channel.joinPush.receive("ok", done))
}, websocket)
