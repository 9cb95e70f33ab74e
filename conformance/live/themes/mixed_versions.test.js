import assert from "node:assert/strict"

import { cast, inbox, scenario, wires } from "../lib/app.js"

scenario("clients of both protocol versions share a topic", async (app) => {
  const topic = app.topic("echo")
  const channels = await Promise.all(
    wires.map((wire) => app.join(topic, {}, { vsn: wire.vsn, ...wire.options })),
  )
  const inboxes = channels.map((channel) => inbox(channel, "shout"))
  for (const [n, channel] of channels.entries()) {
    cast(channel, "shout", { n })
    for (const each of inboxes) assert.deepEqual(await each.next(), { event: "shout", payload: { n } })
  }
}, { only: (wire) => wire === wires[0] && wires.length > 1 })
