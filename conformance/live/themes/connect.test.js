import assert from "node:assert/strict"

import { next, ok, scenario } from "../lib/app.js"

scenario("the parameters of the connection reach the socket", async (app) => {
  const channel = await app.join(app.topic("echo"), {}, { params: { user_id: "7", room: "a b&c=d", empty: "" } })
  const { params } = await ok(channel.push("connect_info"))
  assert.equal(params.user_id, "7")
  assert.equal(params.room, "a b&c=d")
  assert.equal(params.empty, "")
  assert.equal(params.vsn, app.wire.vsn)
})

scenario("the socket knows its id, its transport and its serializer", async (app) => {
  const channel = await app.join(app.topic("echo"), {}, { params: { user_id: app.run } })
  const whoami = await ok(channel.push("whoami"))
  assert.equal(whoami.id, `users:${app.run}`)
  assert.equal(whoami.transport, app.wire.longPoll ? "longpoll" : "websocket")
  assert.match(whoami.serializer, app.wire.vsn === "1.0.0" ? /V1/ : /V2/)
})

scenario("a socket that refuses lets nobody in", async (app) => {
  const socket = app.connect({ mount: "/auth", params: { token: "bad" }, reconnectAfterMs: () => 60_000 })
  const opens = []
  socket.onOpen(() => opens.push("open"))
  await next((done) => socket.onError(done))
  assert.deepEqual(opens, [])
})

scenario("a socket that accepts the token lets its owner in", async (app) => {
  const channel = await app.join(app.topic("echo"), {}, { mount: "/auth", params: { token: "good" } })
  assert.deepEqual(await ok(channel.push("echo", { in: true })), { in: true })
})

scenario("the auth token travels beside the URL", async (app) => {
  const channel = await app.join(app.topic("echo"), {}, { mount: "/authtoken", authToken: "good token: ?>~" })
  const { info, params } = await ok(channel.push("connect_info"))
  assert.equal(info.auth_token, "good token: ?>~")
  assert.equal(JSON.stringify(params).includes("good token"), false)
})
