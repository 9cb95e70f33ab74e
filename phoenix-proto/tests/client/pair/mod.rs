//! The client socket against the connection machine of the server, over a link that is slow, breaks, hangs and
//! comes back, in virtual time: a WebSocket, or long polling by the machines of both sides.

mod long_poll;
mod server;
mod world;

use phoenix_proto::client::{PushOutcome, Transport};
use proptest::prelude::*;

use world::World;

const TOPICS: [&str; 4] = ["room:a", "room:b", "deny:c", "slow:d"];

/// What is done to the world, each after some time.
#[derive(Debug, Clone, Copy)]
enum Op {
    Push {
        channel: usize,
        event: &'static str,
        binary: bool,
    },
    Channel {
        topic: usize,
    },
    Leave {
        channel: usize,
    },
    Broadcast {
        topic: usize,
    },
    /// The link breaks; both sides see it.
    Cut,
    /// The link swallows everything until it is cut or given up.
    Hang,
    /// The next attempts to connect fail.
    Refuse {
        attempts: u32,
    },
    Slow {
        millis: u64,
    },
    Disconnect,
    Connect,
    Wait {
        millis: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let event = prop::sample::select(vec!["echo", "mute", "crash", "late", "stop"]);
    prop_oneof![
        6 => (0..8_usize, event, any::<bool>())
            .prop_map(|(channel, event, binary)| Op::Push { channel, event, binary }),
        3 => (0..TOPICS.len()).prop_map(|topic| Op::Channel { topic }),
        1 => (0..8_usize).prop_map(|channel| Op::Leave { channel }),
        3 => (0..TOPICS.len()).prop_map(|topic| Op::Broadcast { topic }),
        2 => Just(Op::Cut),
        1 => Just(Op::Hang),
        1 => (1..4_u32).prop_map(|attempts| Op::Refuse { attempts }),
        1 => (0..3000_u64).prop_map(|millis| Op::Slow { millis }),
        1 => Just(Op::Disconnect),
        2 => Just(Op::Connect),
        6 => (0..15_000_u64).prop_map(|millis| Op::Wait { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_push_ends_once_and_nothing_is_delivered_twice(
        ops in prop::collection::vec(op(), 1..80),
        vsn in prop::sample::select(vec!["1.0.0", "2.0.0"]),
        transport in prop::sample::select(vec![Transport::WebSocket, Transport::LongPoll]),
    ) {
        let mut world = World::new(vsn, transport);
        for op in ops {
            world.apply(op);
        }
        world.settle();
    }
}

#[test]
fn a_day_of_breaking_links() {
    for (vsn, transport) in [
        ("1.0.0", Transport::WebSocket),
        ("2.0.0", Transport::WebSocket),
        ("1.0.0", Transport::LongPoll),
        ("2.0.0", Transport::LongPoll),
    ] {
        let mut world = World::new(vsn, transport);
        let takes_binary = (vsn, transport) == ("2.0.0", Transport::WebSocket);
        world.apply(Op::Connect);
        world.apply(Op::Channel { topic: 0 });
        for round in 0..288_u64 {
            world.apply(Op::Push { channel: 0, event: "echo", binary: takes_binary && round % 2 == 0 });
            world.apply(Op::Wait { millis: 290_000 });
            world.apply(if round % 3 == 0 { Op::Hang } else { Op::Cut });
            world.apply(Op::Wait { millis: 10_000 });
        }
        world.settle();
        let outcomes = world.outcomes();
        let replied = outcomes.iter().filter(|outcome| matches!(outcome, PushOutcome::Replied(_))).count();
        // One more to see that all is well.
        assert_eq!(outcomes.len(), 289);
        // One that is sent into a link that hangs is lost, until that is noticed within a minute.
        assert!(replied >= 192, "only {replied} of 289 answered");
    }
}
