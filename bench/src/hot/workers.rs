//! What a second worker adds. With two cores and a load generator on one of them it cannot be seen in messages per
//! second; so the work is done in memory, once on one thread and once on two that share an endpoint, and what is compared
//! is the CPU time of a message. The threads never wait for each other: two of them on two cores do `2 / ratio` times
//! the work of one.

use std::sync::{Arc, Barrier};
use std::thread;

use clap::ValueEnum;
use phoenix_server::Endpoint;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::yield_now;

use super::server::{Server, control_for, masked_text, push_to};
use super::stream::Stream;
use crate::serve;

/// Work that is shared out among threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// 100 clients, each with an echo in flight: the threads share nothing but the endpoint.
    Echo,
    /// 100 rooms of 10 members, of whom every other one lives on the other thread; everybody broadcasts.
    Rooms,
}

/// CPU-seconds per message with two workers, divided by those with one.
///
/// # Panics
/// If something was lost: there would be nothing to compare.
pub fn cost_of_second_worker(work: Work, rounds: usize) -> f64 {
    cpu_per_message(work, 2, rounds) / cpu_per_message(work, 1, rounds)
}

const ROOMS: usize = 100;
const MEMBERS: usize = 10;
const ECHOES: usize = 100;

fn cpu_per_message(work: Work, threads: usize, rounds: usize) -> f64 {
    let endpoint = serve::endpoint().expect("the endpoint is valid");
    let barrier = Arc::new(Barrier::new(threads));
    let workers: Vec<_> = (0..threads)
        .map(|number| {
            let (endpoint, barrier) = (endpoint.clone(), Arc::clone(&barrier));
            thread::spawn(move || Worker::new(work, endpoint, number, threads).run(rounds, &barrier))
        })
        .collect();
    let measured = workers.into_iter().map(|worker| worker.join().expect("nothing is lost"));
    let (cpu, messages) = measured.fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    cpu / messages as f64
}

struct Worker {
    server: Server,
    /// Each client with what it sends.
    clients: Vec<(Stream, Vec<u8>)>,
    /// Messages that a client gets in a round.
    gets: usize,
    /// Bytes of one of them.
    length: usize,
}

impl Worker {
    fn new(work: Work, endpoint: Endpoint, number: usize, threads: usize) -> Self {
        let (clients, event, gets, topic): (_, _, _, fn(usize) -> String) = match work {
            Work::Echo => (ECHOES, "echo", 1, |client| format!("bench:{client:04}")),
            Work::Rooms => {
                (ROOMS * MEMBERS, "bcast", MEMBERS, |client| format!("bench:{:04}", client / MEMBERS))
            }
        };
        let server = Server::sharing(endpoint);
        let clients: Vec<_> = (number..clients)
            .step_by(threads)
            .map(|client| {
                let topic = topic(client);
                let stream = server.join_with(&masked_text(&control_for(&topic, "phx_join")));
                (stream, masked_text(&push_to(&topic, event)))
            })
            .collect();
        // In a topic of its own, as long as the others, to learn how long a message is.
        let probe = format!("bench:p{number:03}");
        let stream = server.join_with(&masked_text(&control_for(&probe, "phx_join")));
        let length = server.answered(&stream, &masked_text(&push_to(&probe, event)));
        Self { server, clients, gets, length }
    }

    /// CPU-seconds and messages of so many rounds.
    fn run(&self, rounds: usize, barrier: &Barrier) -> (f64, usize) {
        barrier.wait();
        let mut written = 0;
        let start = cpu_seconds();
        for _ in 0..rounds {
            for (client, sent) in &self.clients {
                client.feed(sent);
            }
            written += self.turn();
        }
        let cpu = cpu_seconds() - start;
        let measured = written / self.length;
        // What is still on its way comes, too.
        let expected = rounds * self.clients.len() * self.gets * self.length;
        while written < expected {
            written += self.turn();
        }
        assert_eq!(written, expected, "bytes");
        barrier.wait();
        (cpu, measured)
    }

    /// Lets the tasks of this thread run; how many bytes they wrote.
    fn turn(&self) -> usize {
        self.server.block_on(async {
            for _ in 0..4 {
                yield_now().await;
            }
        });
        self.clients.iter().map(|(client, _)| client.take_written()).sum()
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_lose_nothing() {
        for work in [Work::Echo, Work::Rooms] {
            assert!(cost_of_second_worker(work, 3) > 0.0);
        }
    }
}
