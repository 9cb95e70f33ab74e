import assert from "node:assert/strict"

import { binaryBothWays, binaryUpward, bytes, cast, ctl, inbox, ok, outcome, scenario, values } from "../lib/app.js"

scenario("a binary push gets a binary reply", async (app) => {
  const channel = await app.join(app.topic("echo"))
  assert.deepEqual(values(await ok(channel.push("binary", bytes(0, 1, 127, 128, 255)))), [0, 1, 127, 128, 255])
}, binaryBothWays)

scenario("a binary reply may be an error", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const { status, response } = await outcome(channel.push("binary_error", bytes(9, 8)))
  assert.equal(status, "error")
  assert.deepEqual(values(response), [9, 8])
}, binaryBothWays)

scenario("an empty binary stays empty", async (app) => {
  const channel = await app.join(app.topic("echo"))
  assert.deepEqual(values(await ok(channel.push("binary", bytes()))), [])
}, binaryBothWays)

scenario("a large binary arrives whole", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const sent = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251)
  const reply = new Uint8Array(await ok(channel.push("binary", sent.buffer)))
  assert.ok(Buffer.from(reply).equals(Buffer.from(sent)))
}, binaryBothWays)

scenario("a binary push may be answered with JSON", async (app) => {
  const channel = await app.join(app.topic("echo"))
  assert.deepEqual(await ok(channel.push("binary_size", bytes(1, 2, 3))), { size: 3 })
  assert.deepEqual(await ok(channel.push("binary_size", new ArrayBuffer(200_000))), { size: 200_000 })
}, binaryUpward)

scenario("the server pushes binaries", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const pushed = inbox(channel, "bin_pushed")
  cast(channel, "binary_push", bytes(4, 5, 6))
  assert.deepEqual(values((await pushed.next()).payload), [4, 5, 6])
}, binaryBothWays)

scenario("a binary broadcast reaches every client", async (app) => {
  const topic = app.topic("echo")
  const channels = await Promise.all([app.join(topic), app.join(topic), app.join(topic)])
  const inboxes = channels.map((channel) => inbox(channel, "bin_shout"))
  cast(channels[0], "binary_broadcast", bytes(1, 2, 3))
  for (const each of inboxes) assert.deepEqual(values((await each.next()).payload), [1, 2, 3])

  const base64 = Buffer.from([255, 0, 7]).toString("base64")
  await ctl("broadcast_binary", { topic, event: "bin_shout", base64 })
  for (const each of inboxes) assert.deepEqual(values((await each.next()).payload), [255, 0, 7])
}, binaryBothWays)

scenario("JSON is answered with a binary when the channel likes", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const base64 = Buffer.from([10, 20]).toString("base64")
  assert.deepEqual(values(await ok(channel.push("binary_reply", { base64 }))), [10, 20])
}, binaryBothWays)
