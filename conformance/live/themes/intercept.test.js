import assert from "node:assert/strict"

import { cast, inbox, next, ok, scenario } from "../lib/app.js"

async function annAndBob(app) {
  const topic = app.topic("intercept")
  const channels = await Promise.all(["ann", "bob"].map((name) => app.join(topic, { name })))
  return { channels, inboxes: channels.map((channel) => inbox(channel, "shout", "plain")) }
}

scenario("an intercepted broadcast is rewritten for each client", async (app) => {
  const { channels, inboxes } = await annAndBob(app)
  cast(channels[0], "shout", { n: 1 })
  assert.deepEqual((await inboxes[0].next()).payload, { n: 1, seen_by: "ann" })
  assert.deepEqual((await inboxes[1].next()).payload, { n: 1, seen_by: "bob" })
})

scenario("an intercepted broadcast_from spares the sender", async (app) => {
  const { channels, inboxes } = await annAndBob(app)
  cast(channels[0], "shout_from", { n: 1 })
  cast(channels[0], "shout", { n: 2 })
  assert.deepEqual((await inboxes[1].take(2)).map(({ payload }) => payload.n), [1, 2])
  assert.deepEqual((await inboxes[0].next()).payload, { n: 2, seen_by: "ann" })
})

scenario("an event that is not intercepted passes unchanged", async (app) => {
  const { channels, inboxes } = await annAndBob(app)
  cast(channels[0], "plain", { n: 1 })
  for (const each of inboxes) assert.deepEqual(await each.next(), { event: "plain", payload: { n: 1 } })
})

scenario("an intercepted broadcast may be dropped for one client", async (app) => {
  const { channels, inboxes } = await annAndBob(app)
  cast(channels[0], "shout", { drop: "bob" })
  cast(channels[0], "shout", { n: 2 })
  assert.deepEqual((await inboxes[0].take(2)).map(({ payload }) => payload.n), [undefined, 2])
  assert.deepEqual((await inboxes[1].next()).payload, { n: 2, seen_by: "bob" })
})

scenario("an intercepted broadcast may end one channel", async (app) => {
  const { channels, inboxes } = await annAndBob(app)
  const closed = next((done) => channels[1].onClose(done))
  cast(channels[0], "shout", { stop: "bob" })
  await closed
  assert.equal((await inboxes[0].next()).payload.seen_by, "ann")
  await ok(channels[0].push("both", { n: 3 }))
})
