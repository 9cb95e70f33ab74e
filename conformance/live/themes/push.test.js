import assert from "node:assert/strict"

import { ctl, inbox, ok, outcome, scenario } from "../lib/app.js"

scenario("a push gets its ok reply", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const payload = { text: "grüße \u{1F525}", n: 1.5, deep: [{ a: null }, true] }
  assert.deepEqual(await outcome(channel.push("echo", payload)), { status: "ok", response: payload })
})

scenario("a push gets its error reply", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const reply = await outcome(channel.push("echo_error", { reason: "no" }))
  assert.deepEqual(reply, { status: "error", response: { reason: "no" } })
})

scenario("a reply without payload is an empty object", async (app) => {
  const channel = await app.join(app.topic("echo"))
  assert.deepEqual(await outcome(channel.push("ok")), { status: "ok", response: {} })
  assert.deepEqual(await outcome(channel.push("error")), { status: "error", response: {} })
})

scenario("a reply may have a status of its own", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const reply = await outcome(channel.push("custom_status"), "teapot")
  assert.deepEqual(reply, { status: "teapot", response: { short: true } })
})

scenario("a reply may be any JSON", async (app) => {
  const channel = await app.join(app.topic("echo"))
  assert.deepEqual(await ok(channel.push("reply_list")), [1, "two", null])
  assert.equal(await ok(channel.push("reply_string")), "just a string")
  assert.equal(await ok(channel.push("reply_nil")), null)
})

scenario("a push without reply times out and the channel goes on", async (app) => {
  const channel = await app.join(app.topic("echo"))
  assert.equal((await outcome(channel.push("noreply", {}, 100))).status, "timeout")
  assert.deepEqual(await ok(channel.push("echo", { n: 2 })), { n: 2 })
})

scenario("a reply may come later, from elsewhere", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const late = ok(channel.push("async_reply", { ms: 300, n: 1 }))
  const early = ok(channel.push("echo", { n: 2 }))
  assert.deepEqual(await Promise.race([late, early]), { n: 2 })
  assert.deepEqual(await late, { ms: 300, n: 1 })
})

scenario("replies come in the order of the pushes", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const order = []
  await Promise.all(
    Array.from({ length: 250 }, (_, i) => ok(channel.push("echo", { i })).then((reply) => order.push(reply.i))),
  )
  assert.deepEqual(order, Array.from({ length: 250 }, (_, i) => i))
})

scenario("the server pushes on its own account", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const pushed = inbox(channel, "from_info")
  await ctl("info", { topic: app.topic("echo"), payload: { push: { from: "the server" } } })
  assert.deepEqual(await pushed.next(), { event: "from_info", payload: { from: "the server" } })
})

scenario("pushes of the server keep their order and precede the reply", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const pushed = inbox(channel, "n", "pushed")
  assert.deepEqual(await ok(channel.push("push_many", { n: 50 })), { n: 50 })
  assert.deepEqual(
    pushed.rest().map(({ payload }) => payload.i),
    Array.from({ length: 50 }, (_, i) => i + 1),
  )

  assert.deepEqual(await ok(channel.push("push_reply", { x: 1 })), { after: "push" })
  assert.deepEqual(pushed.rest(), [{ event: "pushed", payload: { x: 1 } }])
})

scenario("a payload may be large", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const text = "0123456789abcdef".repeat(16 * 1024)
  const reply = await ok(channel.push("echo", { text }))
  assert.equal(reply.text.length, text.length)
  assert.equal(reply.text, text)
})

scenario("event names and topics may be any text", async (app) => {
  const topic = `${app.topic("echo")}:räume/\u{1F4AC} "1"`
  const channel = await app.join(topic)
  const whoami = await ok(channel.push("whoami"))
  assert.equal(whoami.topic, topic)
})
