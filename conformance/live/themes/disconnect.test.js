import assert from "node:assert/strict"

import { ctl, inbox, next, ok, scenario } from "../lib/app.js"

/** A joined channel of a user, and promises of what a disconnect brings. */
async function member(app, user) {
  const socket = app.connect({ params: { user_id: user } })
  const channel = socket.channel(app.topic("echo"))
  await ok(channel.join())
  const closed = next((done) => socket.onClose(done))
  const rejoined = closed.then(() => next((done) => channel.joinPush.receive("ok", done)))
  return { socket, channel, closed, rejoined }
}

scenario("a forced disconnect by socket id: the client comes back and rejoins", async (app) => {
  const user = `ann-${app.run}`
  const { channel, closed, rejoined } = await member(app, user)
  const reopened = closed.then(() => next((done) => channel.socket.onOpen(done)))
  await ctl("disconnect", { id: `users:${user}` })

  const event = await closed
  if (!app.wire.longPoll) assert.equal(event.code, 1001)
  await Promise.all([reopened, rejoined])
  const shouts = inbox(channel, "shout")
  await ok(channel.push("shout_reply", { back: true }))
  assert.deepEqual(shouts.rest(), [{ event: "shout", payload: { back: true } }])
})

scenario("a forced disconnect ends every connection of that id and no other", async (app) => {
  const ann = `ann-${app.run}`
  const [one, two, other] = await Promise.all([member(app, ann), member(app, ann), member(app, `bob-${app.run}`)])
  const otherCloses = []
  other.socket.onClose((event) => otherCloses.push(event))

  await ctl("disconnect", { id: `users:${ann}` })
  await Promise.all([one.rejoined, two.rejoined])
  assert.deepEqual(await ok(other.channel.push("echo", { n: 1 })), { n: 1 })
  assert.deepEqual(otherCloses, [])
})

scenario("a drained connection closes with 1012 and the client comes back", async (app) => {
  const { channel, closed, rejoined } = await member(app, `ann-${app.run}`)
  await ctl("drain", { topic: channel.topic })
  const event = await closed
  if (!app.wire.longPoll) assert.equal(event.code, 1012)
  await rejoined
  assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
})

scenario("a client that disconnects stays away until it connects again", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const { socket } = channel
  await next((done) => socket.disconnect(done))
  assert.equal(socket.connectionState(), "closed")

  const rejoined = next((done) => channel.joinPush.receive("ok", done))
  socket.connect()
  await rejoined
  assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
})
