//! Messages no tracker would send.

use std::time::Duration;

use proptest::prelude::*;

use super::super::fixtures::Cluster;
use super::super::*;

/// Everything two busy nodes tell each other, encoded.
fn talk() -> Vec<Vec<u8>> {
    let mut cluster = Cluster::new(&["a", "b"]);
    for owner in 0..6 {
        let (name, topic) = (if owner % 2 == 0 { "a" } else { "b" }, if owner < 3 { "t" } else { "u" });
        cluster.on(name, |node, now| node.track(Owner(owner), topic, "k", Map::new(), now)).unwrap();
        cluster.run(Duration::from_secs(2));
        cluster.on(name, |node, _| node.untrack_all(Owner(owner / 2)));
    }
    cluster.start("b");
    cluster.run(Duration::from_secs(20));
    cluster.on("b", |node, _| node.graceful_permdown());
    cluster.sent.iter().map(|(_, _, message)| message.encode()).collect()
}

/// Replaces the numbers of a message one after the other, except the long ones, which name replicas.
fn with_numbers(message: &[u8], numbers: &[u64]) -> Vec<u8> {
    let text = std::str::from_utf8(message).expect("messages are JSON");
    let mut numbers = numbers.iter().cycle();
    let mut out = String::new();
    for (index, part) in text.split_inclusive([',', '[', ':', ']']).enumerate() {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        // The first number is the version of the encoding.
        if (1..12).contains(&digits) && index > 2 {
            out.push_str(&numbers.next().copied().unwrap_or_default().to_string());
            out.push_str(&part[digits..]);
        } else {
            out.push_str(part);
        }
    }
    out.into_bytes()
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..6, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
}

proptest! {
    #[test]
    fn never_panic_and_never_touch_what_is_ours(
        numbers in prop::collection::vec(number(), 1..40),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut cluster = Cluster::new(&["c"]);
        cluster.on("c", |node, now| node.track(Owner(1), "ours", "k", Map::new(), now)).unwrap();
        for (turn, message) in talk().iter().enumerate() {
            let mut bytes = with_numbers(message, &numbers[turn % numbers.len()..]);
            prop_assert!(Message::decode(&bytes).is_ok());
            cluster.on("c", |node, now| node.handle_bytes(&bytes, now));
            for (index, byte) in &damages {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            cluster.on("c", |node, now| node.handle_bytes(&bytes, now));
            cluster.on("c", |node, now| node.handle_bytes(message, now));
            cluster.run(Duration::from_millis(500));
        }
        prop_assert_eq!(cluster.keys("c", "ours"), ["k"]);
    }
}
