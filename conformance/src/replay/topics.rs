//! Which topics a recording uses: recordings that share one must not run side by side, broadcasts would cross over.

use std::collections::BTreeSet;

use super::polls::messages;
use crate::json::Json;
use crate::recording::{Event, Item, Recording};

/// All topics and socket ids of a recording.
pub(super) fn topics(recording: &Recording) -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    for entry in &recording.entries {
        match &entry.item {
            Item::Ctl(ctl) => {
                topics.extend(
                    ["topic", "id"].iter().filter_map(|key| ctl.request[key].as_str()).map(str::to_owned),
                );
            }
            Item::Wire(wire) => match &wire.event {
                Event::Frame(frame) => topics.extend(topic(frame.content().text().unwrap_or_default())),
                Event::Request(request) => {
                    topics.extend(request.body.text().unwrap_or_default().lines().filter_map(topic));
                    let user = request.query.split('&').find_map(|pair| pair.strip_prefix("user_id="));
                    topics.extend(user.map(|user| format!("users:{user}")));
                }
                Event::Response(response) => {
                    topics.extend(messages(response).iter().flatten().filter_map(|text| topic(text)));
                }
                Event::Fin(_) | Event::Rst | Event::Error(_) => {}
            },
            Item::Meta(_)
            | Item::DirectHttp(_)
            | Item::Note(_)
            | Item::App(_)
            | Item::ServerLog(_)
            | Item::Other(_) => {}
        }
    }
    topics
}

fn topic(text: &str) -> Option<String> {
    let json = Json::parse(text)?;
    let topic = json.at(2).or_else(|| json.get("topic"))?.as_str()?;
    (topic != "phoenix").then(|| topic.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_found_wherever_they_are_named() {
        let lines = [
            r#"{"t":1,"client":"A","conn":1,"dir":"c2s","transport":"longpoll","kind":"request","method":"POST","path":"/socket/longpoll","query":"user_id=7","version":"HTTP/1.1","headers":[],"body":"[\"1\",\"1\",\"posted\",\"phx_join\",{}]"}"#,
            r#"{"t":2,"client":"A","conn":2,"dir":"c2s","transport":"websocket","kind":"text","data":"{\"topic\":\"version 1\"}"}"#,
            r#"{"t":3,"client":"A","conn":2,"dir":"s2c","transport":"websocket","kind":"text","data":"[null,\"1\",\"phoenix\",\"phx_reply\",{}]"}"#,
            r#"{"t":4,"kind":"ctl","action":"kill","request":{"topic":"killed"}}"#,
        ];
        let found = topics(&Recording::parse("x", lines).unwrap());
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            ["killed", "posted", "users:7", "version 1"]
        );
    }
}
