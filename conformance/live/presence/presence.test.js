import assert from "node:assert/strict"

import { Presence } from "phoenix"

import { ctl, next, ok, scenario } from "../lib/app.js"

/** A member of a room whose stock `Presence` keeps the list; `until` waits for a state of it. */
async function member(app, user, { kind = "room", device = "laptop" } = {}) {
  const channel = app.connect().channel(app.topic(kind), { user, device })
  const presence = new Presence(channel)
  const online = () => Object.fromEntries(presence.list((key, { metas }) => [key, metas]))
  const waiting = []
  presence.onSync(() => {
    for (const [i, { holds, done }] of [...waiting.entries()].reverse()) {
      if (holds(online())) waiting.splice(i, 1) && done(online())
    }
  })
  const until = (holds) =>
    holds(online()) ? Promise.resolve(online()) : next((done) => waiting.push({ holds, done }))
  await ok(channel.join())
  return { channel, presence, until }
}

const names = (...expected) => (online) => Object.keys(online).sort().join() === expected.sort().join()

scenario("members see each other come and go", async (app) => {
  const ann = await member(app, "ann")
  await ann.until(names("ann"))
  const bob = await member(app, "bob")
  await Promise.all([ann.until(names("ann", "bob")), bob.until(names("ann", "bob"))])
  await ok(bob.channel.leave())
  await ann.until(names("ann"))
})

scenario("one user on two devices is one key with two metas", async (app) => {
  const phone = await member(app, "ann", { device: "phone" })
  const laptop = await member(app, "ann", { device: "laptop" })
  const online = await phone.until((state) => state.ann?.length === 2)
  assert.deepEqual(online.ann.map(({ device }) => device).sort(), ["laptop", "phone"])

  await ok(laptop.channel.leave())
  const left = await phone.until((state) => state.ann?.length === 1)
  assert.equal(left.ann[0].device, "phone")
})

scenario("an update replaces the meta", async (app) => {
  const [ann, bob] = await Promise.all([member(app, "ann"), member(app, "bob")])
  await bob.until(names("ann", "bob"))
  const { ref } = await ok(ann.channel.push("status", { status: "away" }))
  const online = await bob.until((state) => state.ann?.[0]?.status === "away")
  assert.equal(online.ann.length, 1)
  assert.equal(online.ann[0].phx_ref, ref)
})

scenario("joins and leaves are reported with their metas", async (app) => {
  const ann = await member(app, "ann")
  await ann.until(names("ann"))
  const joined = next((done) => ann.presence.onJoin((key, current, added) => key === "bob" && done({ current, added })))
  const left = next((done) => ann.presence.onLeave((key, current, gone) => key === "bob" && done({ current, gone })))
  const bob = await member(app, "bob", { device: "tablet" })
  const { current, added } = await joined
  assert.equal(current, undefined)
  assert.equal(added.metas[0].device, "tablet")

  await ok(bob.channel.leave())
  assert.deepEqual((await left).current.metas, [])
})

scenario("a connection that is cut takes its presences along", async (app) => {
  const [ann, bob] = await Promise.all([member(app, "ann"), member(app, "bob")])
  await ann.until(names("ann", "bob"))
  bob.channel.socket.disconnect()
  await ann.until(names("ann"))
})

scenario("members who were killed come back when they rejoin", async (app) => {
  const ann = await member(app, "ann")
  const failed = next((done) => ann.channel.onError(done))
  await ctl("kill", { topic: ann.channel.topic })
  await failed
  await next((done) => ann.channel.joinPush.receive("ok", done))
  const online = await ok(ann.channel.push("list"))
  assert.deepEqual(Object.keys(online), ["ann"])
  assert.equal(online.ann.metas.length, 1)
})

scenario("keys that mean something to JavaScript are keys like any other", async (app) => {
  const channel = await app.join(app.topic("room"), { user: "constructor" })
  const online = await ok(channel.push("list"))
  assert.ok(Object.hasOwn(online, "constructor"))
})

scenario("a fetch hook adds to every presence", async (app) => {
  const ann = await member(app, "ann", { kind: "froom" })
  await ann.until(names("ann"))
  const [user] = ann.presence.list((_key, entry) => entry.user)
  assert.deepEqual(user, { name: "name of ann" })
})
