import assert from "node:assert/strict"

import { cast, ctl, inbox, ok, scenario } from "../lib/app.js"

/** Three clients on one topic and what reaches each. */
async function three(app, ...events) {
  const topic = app.topic("echo")
  const channels = await Promise.all([app.join(topic), app.join(topic), app.join(topic)])
  return { topic, channels, inboxes: channels.map((channel) => inbox(channel, ...events)) }
}

scenario("a broadcast reaches every client, the sender included", async (app) => {
  const { channels, inboxes } = await three(app, "shout")
  cast(channels[0], "shout", { text: "hello" })
  for (const each of inboxes) {
    assert.deepEqual(await each.next(), { event: "shout", payload: { text: "hello" } })
  }
})

scenario("a broadcast_from reaches everybody but the sender", async (app) => {
  const { channels, inboxes } = await three(app, "shout_from", "shout")
  cast(channels[0], "shout_from", { n: 1 })
  cast(channels[0], "shout", { n: 2 })

  const [sender, ...others] = inboxes
  for (const each of others) {
    assert.deepEqual((await each.take(2)).map(({ event }) => event), ["shout_from", "shout"])
  }
  assert.deepEqual(await sender.next(), { event: "shout", payload: { n: 2 } })
})

scenario("a broadcast from outside of the channels reaches every client", async (app) => {
  const { topic, inboxes } = await three(app, "news")
  await ctl("broadcast", { topic, event: "news", payload: { from: "the server" } })
  for (const each of inboxes) {
    assert.deepEqual(await each.next(), { event: "news", payload: { from: "the server" } })
  }
})

scenario("a broadcast precedes the reply of the push that made it", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const shouts = inbox(channel, "shout")
  assert.deepEqual(await ok(channel.push("shout_reply", { n: 1 })), { after: "shout" })
  assert.deepEqual(shouts.rest(), [{ event: "shout", payload: { n: 1 } }])
})

// Between publishers there is no order (protocol §11.5).
scenario("every client sees the broadcasts of each publisher in order", async (app) => {
  const { channels, inboxes } = await three(app, "shout")
  for (let i = 0; i < 20; i++) channels.forEach((channel, who) => cast(channel, "shout", { who, i }))

  for (const seen of await Promise.all(inboxes.map((each) => each.take(60)))) {
    for (const who of [0, 1, 2]) {
      const theirs = seen.filter(({ payload }) => payload.who === who).map(({ payload }) => payload.i)
      assert.deepEqual(theirs, Array.from({ length: 20 }, (_, i) => i))
    }
  }
})

scenario("a broadcast stays on its topic", async (app) => {
  const socket = app.connect()
  const [here, there] = ["here", "there"].map((name) => socket.channel(`${app.topic("echo")}:${name}`))
  await Promise.all([ok(here.join()), ok(there.join())])
  const shouts = inbox(there, "shout")

  await ok(here.push("shout_reply", { n: 1 }))
  await ok(there.push("shout_reply", { n: 2 }))
  assert.deepEqual(shouts.rest(), [{ event: "shout", payload: { n: 2 } }])
})

scenario("a channel subscribed to another topic hears its broadcasts", async (app) => {
  const channel = await app.join(app.topic("echo"))
  const forwarded = inbox(channel, "forwarded")
  const topic = `feed:${app.run}`
  await ok(channel.push("subscribe", { topic }))
  await ctl("broadcast", { topic, event: "tick", payload: { n: 1 } })
  assert.deepEqual((await forwarded.next()).payload, { topic, event: "tick", payload: { n: 1 } })
})
