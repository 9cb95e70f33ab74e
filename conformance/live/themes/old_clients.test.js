// The clients that are still out there. Version 1.3 expects its environment to be a browser.

import assert from "node:assert/strict"
import { createRequire } from "node:module"

import { bytes, ctl, inbox, next, ok, scenario, values } from "../lib/app.js"

globalThis.window ??= globalThis

const require = createRequire(import.meta.url)
const clients = ["1-3", "1-5", "1-7"].map((version) => {
  const { Socket, LongPoll } = require(`phoenix-${version}`)
  return { version: version.replace("-", "."), Socket, LongPoll, binary: version !== "1-3" }
})

for (const client of clients) {
  const as = (app) => ({
    socketClass: client.Socket,
    transport: app.wire.longPoll ? client.LongPoll : app.wire.options.transport,
  })
  const old = (name, body, options) => scenario(`phoenix.js ${client.version}: ${name}`, body, options)
  const versionTwo = { only: (wire) => wire.vsn === "2.0.0" }

  old("joins, pushes and gets replies", async (app) => {
    const channel = await app.join(app.topic("echo"), { name: "old" }, as(app))
    assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
  }, versionTwo)

  old("hears broadcasts, also those of a new client", async (app) => {
    const topic = app.topic("echo")
    const [mine, newest] = await Promise.all([app.join(topic, {}, as(app)), app.join(topic)])
    const inboxes = [inbox(mine, "shout"), inbox(newest, "shout")]
    for (const [n, channel] of [mine, newest].entries()) {
      channel.push("shout", { n })
      for (const each of inboxes) assert.deepEqual((await each.next()).payload, { n })
    }
  }, versionTwo)

  old("rejoins a channel that crashed", async (app) => {
    const channel = await app.join(app.topic("echo"), {}, as(app))
    const rejoined = next((done) => channel.joinPush.receive("ok", skipFirst(done)))
    channel.push("crash")
    await rejoined
    assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
  }, versionTwo)

  old("leaves", async (app) => {
    const channel = await app.join(app.topic("echo"), {}, as(app))
    const closed = next((done) => channel.onClose(done))
    await ok(channel.leave())
    await closed
  }, versionTwo)

  old("comes back after a forced disconnect", async (app) => {
    const user = `old-${app.run}`
    const channel = await app.join(app.topic("echo"), {}, { ...as(app), params: { user_id: user } })
    const rejoined = next((done) => channel.joinPush.receive("ok", skipFirst(done)))
    await ctl("disconnect", { id: `users:${user}` })
    await rejoined
    assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
  }, versionTwo)

  if (client.binary) {
    old("sends and gets binaries", async (app) => {
      const channel = await app.join(app.topic("echo"), {}, as(app))
      assert.deepEqual(values(await ok(channel.push("binary", bytes(1, 2, 255)))), [1, 2, 255])
    }, { only: (wire) => wire.vsn === "2.0.0" && (!wire.longPoll || client.version === "1.7") })
  }
}

/** A hook on a join that was answered already is called at once, for that first answer. */
function skipFirst(done) {
  let calls = 0
  return (reply) => ++calls > 1 && done(reply)
}
