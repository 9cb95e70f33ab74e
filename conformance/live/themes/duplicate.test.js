import assert from "node:assert/strict"

import { inbox, next, ok, scenario } from "../lib/app.js"

// A close without a join_ref, as version 1 has it, closes whatever channel its topic has by then.
const joinRefs = { only: (wire) => wire.vsn === "2.0.0" }

scenario("a second channel object takes its topic over", async (app) => {
  const topic = app.topic("echo")
  const first = await app.join(topic)
  const closed = next((done) => first.onClose(done))
  const second = first.socket.channel(topic)
  await ok(second.join())
  await closed

  const shouts = inbox(second, "shout")
  await ok(second.push("shout_reply", { n: 1 }))
  assert.equal(shouts.rest().length, 1, "the topic is subscribed once")
}, joinRefs)

scenario("a second join on the wire closes the first channel with its own join_ref", async (app) => {
  const topic = app.topic("echo")
  const first = await app.join(topic)
  const { socket } = first
  const firstRef = first.joinRef()
  const closed = next((done) => first.onClose(done))

  const ref = socket.makeRef()
  const seen = []
  const complete = next((done) =>
    socket.onMessage(({ topic: on, event, ref: messageRef }) => {
      if (on !== topic) return
      seen.push([event, messageRef])
      if (seen.length === 2) done()
    }),
  )
  socket.push({ topic, event: "phx_join", payload: {}, ref, join_ref: ref })
  await complete
  await closed
  assert.deepEqual(seen, [["phx_reply", ref], ["phx_close", firstRef]])
}, joinRefs)

scenario("the same topic on two connections are two channels", async (app) => {
  const topic = app.topic("echo")
  const [one, two] = await Promise.all([app.join(topic), app.join(topic)])
  await ok(one.leave())
  assert.deepEqual(await ok(two.push("echo", { n: 1 })), { n: 1 })
})
