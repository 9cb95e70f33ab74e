// The page of the chat example, as the suites use it.

import test, { after } from "node:test"

import { Chat } from "./chat.js"
import { Browser } from "./chromium.js"

export const browser = new Browser()
after(() => browser.close())

/** One test with a server of its own. */
export function chatting(name, body) {
  test(name, { timeout: 90_000 }, async (t) => {
    const chat = await new Chat().start()
    t.after(() => chat.stop("SIGKILL"))
    await body(t, chat)
  })
}

/** A tab in which somebody entered a room. */
export async function enter(t, chat, nick, room = "lobby") {
  const { page, errors } = await browser.tab(t, chat.url)
  await page.fill("#nick", nick)
  await page.fill("#room-name", room)
  await page.click("#enter button")
  await online(page)
  return { page, errors }
}

/** Waits until the page is in a room and connected. */
export const online = (page) => page.waitForSelector('#chat:not([hidden]) #status[data-state="online"]')

/** Sends a message as a person does. */
export async function say(page, body) {
  await page.fill("#body", body)
  await page.press("#body", "Enter")
}

/** Waits for a message; several with the same text would be an error of the page. */
export const hears = (page, body) => page.locator("#messages .body", { hasText: body }).waitFor()

/** The messages on the page, in order. */
export const said = (page) => page.locator("#messages .body").allTextContents()
