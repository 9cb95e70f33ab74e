// Who is in the room, on the page of the chat example.

import assert from "node:assert/strict"

import { chatting, enter } from "../lib/chat_page.js"

const here = (page, names) =>
  page.waitForFunction(
    (expected) => [...document.querySelectorAll("#online-list li")].map((item) => item.textContent).join() === expected,
    names.join(),
  )

chatting("everybody sees who comes and goes", async (t, chat) => {
  const ann = await enter(t, chat, "ann")
  await here(ann.page, ["ann"])
  const bob = await enter(t, chat, "bob")
  await here(ann.page, ["ann", "bob"])
  await here(bob.page, ["ann", "bob"])
  assert.equal(await ann.page.textContent("#online-count"), "2")

  await bob.page.click("#leave")
  await here(ann.page, ["ann"])
})

chatting("who closes the window is gone", async (t, chat) => {
  const ann = await enter(t, chat, "ann")
  const bob = await enter(t, chat, "bob")
  await here(ann.page, ["ann", "bob"])
  await bob.page.close()
  await here(ann.page, ["ann"])
})

chatting("the list is right again after the server was restarted", async (t, chat) => {
  const ann = await enter(t, chat, "ann")
  const bob = await enter(t, chat, "bob")
  await here(ann.page, ["ann", "bob"])
  await chat.stop("SIGKILL")
  await chat.start()
  await here(ann.page, ["ann", "bob"])
  await here(bob.page, ["ann", "bob"])
})
