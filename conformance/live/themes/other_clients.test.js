// Clients that others have written: Supabase's, a dialect of protocol version 1 of its own, and phoenix-socket.

import assert from "node:assert/strict"
import { createRequire } from "node:module"

import WebSocket from "ws"

import { address, ctl, next, scenario } from "../lib/app.js"

globalThis.window ??= globalThis

const require = createRequire(import.meta.url)
const { RealtimeChannel, RealtimeClient } = require("@supabase/realtime-js")
const PhoenixSocket = require("phoenix-socket")

// These clients bring their own version of the protocol, so that one wire is enough.
const once = { only: (wire) => wire.vsn === "1.0.0" }

/** A channel of Supabase's client on a topic of ours; its own constructor would put `realtime:` in front of it. */
function supabase(app, params = {}, options = {}) {
  const client = new RealtimeClient(address("/socket"), {
    transport: WebSocket,
    params: { apikey: "key", ...params },
    reconnectAfterMs: () => 20,
    // Pushes that nobody replies to keep the process for as long.
    timeout: 3_000,
    ...options,
  })
  const channel = new RealtimeChannel(app.topic("echo"), { config: { broadcast: { self: true } } }, client)
  client.channels.push(channel)
  app.t.after(() => client.disconnect())
  const states = []
  const waiting = []
  channel.subscribe((state) => (waiting.length > 0 ? waiting.shift()(state) : states.push(state)))
  const state = () => (states.length > 0 ? Promise.resolve(states.shift()) : next((done) => waiting.push(done)))
  return { client, channel, state }
}

const answer = (push) =>
  next((done) => ["ok", "error"].forEach((status) => push.receive(status, (response) => done({ status, response }))))

scenario("Supabase's client joins, pushes and hears broadcasts", async (app) => {
  const { channel, state } = supabase(app)
  assert.equal(await state(), "SUBSCRIBED")
  assert.deepEqual(await answer(channel._push("echo", { n: 1 })), { status: "ok", response: { n: 1 } })
  assert.deepEqual(await answer(channel._push("echo_error", { n: 2 })), { status: "error", response: { n: 2 } })
  const heard = next((done) => channel._on("shout", {}, done))
  channel._push("shout", { n: 3 })
  assert.deepEqual(await heard, { n: 3 })
}, once)

scenario("Supabase's client joins again after a crash and after a disconnect", async (app) => {
  const user = `supabase-${app.run}`
  const { channel, state } = supabase(app, { user_id: user })
  assert.equal(await state(), "SUBSCRIBED")
  channel._push("crash", {})
  assert.equal(await state(), "CHANNEL_ERROR")
  assert.equal(await state(), "SUBSCRIBED")
  await ctl("disconnect", { id: `users:${user}` })
  let last
  do last = await state()
  while (last !== "SUBSCRIBED")
  assert.deepEqual(await answer(channel._push("echo", { n: 1 })), { status: "ok", response: { n: 1 } })
}, once)

scenario("Supabase's client keeps itself alive and leaves", async (app) => {
  const { client, channel, state } = supabase(app, {}, { heartbeatIntervalMs: 1_000 })
  assert.equal(await state(), "SUBSCRIBED")
  assert.equal(await next((done) => client.onHeartbeat((status) => status !== "sent" && done(status))), "ok")
  assert.equal(await channel.unsubscribe(), "ok")
}, once)

scenario("phoenix-socket joins, pushes, hears broadcasts and leaves", async (app) => {
  const options = { socketClass: PhoenixSocket.Socket }
  const topic = app.topic("echo")
  const channel = await app.join(topic, {}, options)
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), { status: "ok", response: { n: 1 } })
  const heard = next((done) => channel.on("shout", done))
  await ctl("broadcast", { topic, event: "shout", payload: { n: 2 } })
  assert.deepEqual(await heard, { n: 2 })
  const closed = next((done) => channel.onClose(done))
  assert.deepEqual(await answer(channel.leave()), { status: "ok", response: {} })
  await closed
}, once)
