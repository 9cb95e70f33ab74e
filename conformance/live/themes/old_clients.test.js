// The clients that are still out there. Versions up to 1.3 expect their environment to be a browser.

import assert from "node:assert/strict"
import { createRequire } from "node:module"

import { binaryBothWays, bytes, cast, ctl, inbox, next, ok, scenario, values } from "../lib/app.js"

globalThis.window ??= globalThis

const require = createRequire(import.meta.url)
// Before 1.8 there is no long-polling over fetch, and a long-poll session that ended goes unnoticed.
const versionOne = { only: (wire) => wire.vsn === "1.0.0" }
const versionTwo = { only: (wire) => wire.vsn === "2.0.0" && wire.name !== "long-poll fetch" }
const webSocket = { only: (wire) => versionTwo.only(wire) && !wire.longPoll }

// 1.2 speaks the first version of the protocol only, and no long-polling that a Phoenix of today understands.
const clients = ["1-2", "1-3", "1-4", "1-5", "1-6", "1-7"].map((version) => {
  const { Socket, LongPoll } = require(`phoenix-${version}`)
  const binary = ["1-5", "1-6", "1-7"].includes(version)
  return { version: version.replace("-", "."), Socket, LongPoll, binary, wires: version === "1-2" ? versionOne : versionTwo }
})

for (const client of clients) {
  const as = (app) => ({
    socketClass: client.Socket,
    // 1.5 cannot cancel its next heartbeat, and the process lives as long as that timer.
    heartbeatIntervalMs: 2_000,
    transport: app.wire.longPoll ? client.LongPoll : app.wire.options.transport,
  })
  const old = (name, body, options) => scenario(`phoenix.js ${client.version}: ${name}`, body, options)

  old("joins, pushes and gets replies", async (app) => {
    const channel = await app.join(app.topic("echo"), { name: "old" }, as(app))
    assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
  }, client.wires)

  old("hears broadcasts, also those of a new client", async (app) => {
    const topic = app.topic("echo")
    const [mine, newest] = await Promise.all([app.join(topic, {}, as(app)), app.join(topic)])
    const inboxes = [inbox(mine, "shout"), inbox(newest, "shout")]
    for (const [n, channel] of [mine, newest].entries()) {
      cast(channel, "shout", { n })
      for (const each of inboxes) assert.deepEqual((await each.next()).payload, { n })
    }
  }, client.wires)

  old("rejoins a channel that crashed", async (app) => {
    const channel = await app.join(app.topic("echo"), {}, as(app))
    const rejoined = next((done) => channel.joinPush.receive("ok", skipFirst(done)))
    cast(channel, "crash")
    await rejoined
    assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
  }, client.wires)

  old("leaves", async (app) => {
    const channel = await app.join(app.topic("echo"), {}, as(app))
    const closed = next((done) => channel.onClose(done))
    await ok(channel.leave())
    await closed
  }, client.wires)

  old("comes back after a forced disconnect", async (app) => {
    const user = `old-${app.run}`
    const channel = await app.join(app.topic("echo"), {}, { ...as(app), params: { user_id: user } })
    const rejoined = next((done) => channel.joinPush.receive("ok", skipFirst(done)))
    await ctl("disconnect", { id: `users:${user}` })
    await rejoined
    assert.deepEqual(await ok(channel.push("echo", { n: 1 })), { n: 1 })
  }, client.wires === versionOne ? versionOne : webSocket)

  if (client.binary) {
    old("sends and gets binaries", async (app) => {
      const channel = await app.join(app.topic("echo"), {}, as(app))
      assert.deepEqual(values(await ok(channel.push("binary", bytes(1, 2, 255)))), [1, 2, 255])
    }, binaryBothWays)
  }
}

/** A hook on a join that was answered already is called at once, for that first answer. */
function skipFirst(done) {
  let calls = 0
  return (reply) => ++calls > 1 && done(reply)
}
