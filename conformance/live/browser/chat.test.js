// The page of the chat example, as two people use it.

import assert from "node:assert/strict"

import { browser, chatting, enter, hears, online, said, say } from "../lib/chat_page.js"

/** Two people who can hear each other, told by a message each way. */
async function talk(ann, bob, topic) {
  await say(ann, `${topic} from ann`)
  await hears(bob, `${topic} from ann`)
  await say(bob, `${topic} from bob`)
  await hears(ann, `${topic} from bob`)
}

chatting("two people talk and see each other type", async (t, chat) => {
  const ann = await enter(t, chat, "ann")
  const bob = await enter(t, chat, "bob")

  await ann.page.locator("#body").pressSequentially("hel")
  await bob.page.locator("#typing", { hasText: "ann is typing" }).waitFor()
  await say(ann.page, "hello bob")
  await hears(bob.page, "hello bob")
  await bob.page.waitForFunction(() => document.getElementById("typing").textContent === "")
  assert.equal(await ann.page.locator("#typing").textContent(), "")
  assert.equal(await ann.page.inputValue("#body"), "")

  await talk(ann.page, bob.page, "more")
  assert.deepEqual(await said(ann.page), ["hello bob", "more from ann", "more from bob"])
  assert.deepEqual(await said(bob.page), await said(ann.page))
  assert.deepEqual([ann.errors, bob.errors], [[], []])
})

chatting("who comes later finds what was said", async (t, chat) => {
  const ann = await enter(t, chat, "ann")
  await say(ann.page, "first")
  await hears(ann.page, "first")
  await say(ann.page, "second")
  await hears(ann.page, "second")

  const bob = await enter(t, chat, "bob")
  await hears(bob.page, "second")
  assert.deepEqual(await said(bob.page), ["first", "second"])
})

chatting("rooms are apart", async (t, chat) => {
  const ann = await enter(t, chat, "ann", "tea")
  const bob = await enter(t, chat, "bob", "coffee")
  const cem = await enter(t, chat, "cem", "coffee")
  await say(ann.page, "tea talk")
  await hears(ann.page, "tea talk")
  await talk(bob.page, cem.page, "coffee talk")
  assert.deepEqual(await said(cem.page), ["coffee talk from ann", "coffee talk from bob"])
})

chatting("nobody enters without a name", async (t, chat) => {
  const { page } = await browser.tab(t, chat.url)
  await page.click("#enter button")
  await page.locator("#refusal", { hasText: "nick required" }).waitFor()
  assert.equal(await page.isVisible("#chat"), false)

  await page.fill("#nick", "ann")
  await page.click("#enter button")
  await online(page)
})

chatting("an empty message is not sent", async (t, chat) => {
  const ann = await enter(t, chat, "ann")
  await say(ann.page, "")
  await ann.page.waitForSelector('#body[aria-invalid="true"]')
  await say(ann.page, "words")
  await hears(ann.page, "words")
  assert.deepEqual(await said(ann.page), ["words"])
})

chatting("markup in names and messages stays text", async (t, chat) => {
  const nick = "<b>ann</b>"
  const body = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>&amp;"
  const ann = await enter(t, chat, nick)
  const bob = await enter(t, chat, "bob")
  await say(ann.page, body)
  await bob.page.locator("#messages li").waitFor()
  assert.deepEqual(await said(bob.page), [body])
  assert.equal(await bob.page.locator("#messages .nick").textContent(), nick)
  assert.equal(await bob.page.locator("#messages img, #messages script, #messages b").count(), 0)
  assert.notEqual(await bob.page.title(), "owned")
})

for (const [how, signal] of [["is killed", "SIGKILL"], ["drains", "SIGTERM"]]) {
  chatting(`the server ${how} and starts again: both recover by themselves`, async (t, chat) => {
    const ann = await enter(t, chat, "ann")
    const bob = await enter(t, chat, "bob")
    await talk(ann.page, bob.page, "before")

    await chat.stop(signal)
    for (const { page } of [ann, bob]) await page.waitForSelector('#status:not([data-state="online"])')
    await chat.start()
    for (const { page } of [ann, bob]) await online(page)
    await talk(ann.page, bob.page, "after")
    assert.deepEqual([ann.errors, bob.errors], [[], []])
  })
}

chatting("the page fits a narrow window", async (t, chat) => {
  const { page } = await browser.tab(t, chat.url, { width: 320, height: 560 })
  await page.fill("#nick", "ann")
  await page.click("#enter button")
  await online(page)
  await say(page, "a".repeat(400))
  await hears(page, "aaaa")
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  assert.ok(overflow <= 0, `${overflow} px too wide`)
  assert.ok(await page.isVisible("#say button"))
})
