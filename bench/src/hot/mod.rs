//! The hot paths without sockets: the whole server between the bytes of a client and the bytes for it, on one thread
//! and in memory. Microbenchmarks time them, and `phoenix-bench hot` repeats one so that valgrind can count its
//! instructions.

mod codec;
mod longpoll;
mod server;
mod stream;
mod workers;

use clap::ValueEnum;

use codec::{Decode, Encode, Presences};
use longpoll::Polls;
use server::{Chat, Fanout, Visits};
pub use workers::{Work, cost_of_second_worker};

/// One path. What it does once is one *operation*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Path {
    /// Decode a push of 128 bytes.
    Decode,
    /// Decode a push of 4 KiB of nested JSON.
    Decode4k,
    /// Encode a reply of 128 bytes.
    Encode,
    /// One echo.
    Echo,
    /// 16 echoes that arrive in one read.
    Echo16,
    /// One echo of 4 KiB of nested JSON.
    Echo4k,
    /// 16 broadcasts to one subscriber, which gets them from its inbox at once.
    Inbox16,
    /// One broadcast to 100 subscribers.
    Broadcast100,
    /// One broadcast to 10,000 subscribers.
    Broadcast10k,
    /// One connection that is upgraded, joins and closes.
    Connect,
    /// Leave and join again.
    Rejoin,
    /// One echo over long polling: a POST, and the poll that waits for it.
    Longpoll,
    /// Track and untrack among 100 presences, both diffs encoded.
    Presence,
}

impl Path {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Everything set up, and one operation done so that no memory is had for the first time.
    pub fn prepare(self) -> Box<dyn FnMut()> {
        let mut operation: Box<dyn FnMut()> = match self {
            Self::Decode => repeat(Decode::new(128), Decode::once),
            Self::Decode4k => repeat(Decode::nested(4096), Decode::once),
            Self::Encode => repeat(Encode::new(128), Encode::once),
            Self::Echo => repeat(Chat::echo(1, 128), Chat::once),
            Self::Echo16 => repeat(Chat::echo(16, 128), Chat::once),
            Self::Echo4k => repeat(Chat::nested_echo(4096), Chat::once),
            Self::Rejoin => repeat(Chat::rejoin(), Chat::once),
            Self::Inbox16 => repeat(Fanout::new(1, 16), Fanout::once),
            Self::Broadcast100 => repeat(Fanout::new(100, 1), Fanout::once),
            Self::Broadcast10k => repeat(Fanout::new(10_000, 1), Fanout::once),
            Self::Connect => repeat(Visits::new(), Visits::once),
            Self::Longpoll => repeat(Polls::new(), Polls::once),
            Self::Presence => repeat(Presences::new(100), Presences::once),
        };
        operation();
        operation
    }
}

/// Does the operation so often and nothing else, under a name that valgrind finds.
#[inline(never)]
pub fn phoenix_bench_measured(operation: &mut dyn FnMut(), times: u64) {
    for _ in 0..times {
        operation();
    }
}

fn repeat<T: 'static>(mut subject: T, once: impl Fn(&mut T) + 'static) -> Box<dyn FnMut()> {
    Box::new(move || once(&mut subject))
}
