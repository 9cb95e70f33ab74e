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
