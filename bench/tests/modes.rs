//! Every mode against the limit server and the servers under test in the same process: nothing lost, nothing out of
//! order.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use phoenix_bench::limit;
use phoenix_bench::load::{self, Bound, LoadError, Mode, Outcome, Percentiles, Pid, Plan, Target};
use phoenix_bench::serve::{self, Adapter, Setup, Threads};

const MESSAGES: u64 = 300;

#[test]
fn echo_loses_nothing() {
    for outcome in run(Mode::Echo, 5, |_| {}) {
        assert_eq!(outcome.messages, MESSAGES);
        assert_measured(&outcome);
    }
}

#[test]
fn echo_in_flight_loses_nothing() {
    for outcome in run(Mode::Echo16, 5, |_| {}) {
        assert_eq!(outcome.messages, MESSAGES);
        assert_measured(&outcome);
    }
}

#[test]
fn echo_of_large_payloads_loses_nothing() {
    for outcome in run(Mode::Echo4k, 5, |_| {}) {
        assert_eq!(outcome.messages, MESSAGES);
        assert_measured(&outcome);
    }
}

#[test]
fn fan_out_reaches_every_subscriber() {
    for mode in [Mode::Fanout100, Mode::Fanout1, Mode::Fanout10k, Mode::Fanout8] {
        for outcome in run(mode, 20, |_| {}) {
            assert_eq!(outcome.messages, MESSAGES * 21, "20 subscribers, and the publisher itself");
            assert_measured(&outcome);
        }
    }
}

#[test]
fn rooms_reach_their_members() {
    for outcome in run(Mode::Rooms, 40, |plan| plan.rooms = 10) {
        assert_eq!(outcome.messages, MESSAGES * 4);
        assert_measured(&outcome);
    }
}

#[test]
fn connections_open_join_and_close() {
    for outcome in run(Mode::Connect, 50, |_| {}) {
        assert_eq!(outcome.messages, MESSAGES);
        assert_measured(&outcome);
    }
}

#[test]
fn churn_pairs_every_leave_with_a_join() {
    for outcome in run(Mode::Churn, 5, |_| {}) {
        assert_eq!(outcome.messages, MESSAGES);
        assert_measured(&outcome);
    }
}

#[test]
fn idle_connections_join_all_their_topics() {
    for outcome in run(Mode::Idle, 50, |plan| plan.topics = 4) {
        assert_eq!(outcome.messages, 200);
        assert!(outcome.kib_per_connection.is_some() && outcome.kib_per_topic.is_some());
    }
}

#[test]
fn long_polls_bring_every_reply() {
    let alone = [Adapter::Warp, Adapter::Axum, Adapter::Actix].map(Server::Alone);
    let alone = alone.into_iter().map(|server| load(server, Mode::Longpoll, 5, |_| {}));
    for outcome in run(Mode::Longpoll, 5, |_| {}).chain(alone) {
        assert_eq!(outcome.messages, MESSAGES);
        assert_measured(&outcome);
        assert!(outcome.kib_per_session.is_some() && outcome.kib_per_http.is_some());
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = Target::new(&format!("ws://{address}"), "/bench/websocket?vsn=2.0.0").unwrap();
    let failure = load::run(&Plan::preset(Mode::Echo), &target, None).unwrap_err();
    assert!(matches!(failure, LoadError::NotJoined { joined: 0, wanted: 100 }), "{failure}");
}

#[derive(Debug, Clone, Copy)]
enum Server {
    Limit,
    UnderTest(Adapter, Threads),
    /// The framework, and the long polling of the limit server.
    Alone(Adapter),
}

/// Runs a small load of this mode against every server.
fn run(mode: Mode, clients: usize, adjust: impl Fn(&mut Plan)) -> impl Iterator<Item = Outcome> {
    [
        Server::Limit,
        Server::UnderTest(Adapter::Warp, Threads::PerCore),
        Server::UnderTest(Adapter::Axum, Threads::Shared),
        Server::UnderTest(Adapter::Actix, Threads::PerCore),
    ]
    .into_iter()
    .map(move |server| load(server, mode, clients, &adjust))
}

/// Runs a small load and checks that nothing went wrong.
fn load(server: Server, mode: Mode, clients: usize, adjust: impl Fn(&mut Plan)) -> Outcome {
    let target = Target::new(&format!("ws://{}", start(server)), "/bench/websocket?vsn=2.0.0").unwrap();
    let mut plan = Plan::preset(mode);
    plan.clients = clients;
    plan.bound = Bound::Messages(MESSAGES);
    plan.settle = Duration::ZERO;
    plan.patience = Duration::from_secs(30);
    adjust(&mut plan);
    let outcome = load::run(&plan, &target, Some(Pid(std::process::id()))).unwrap();
    assert!(outcome.is_clean(), "{server:?}: {outcome:?}");
    outcome
}

/// The server runs until the tests are over.
fn start(server: Server) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    let ready = move |address| sender.send(address).expect("the test waits for it");
    let setup =
        |adapter, threads, alone| Setup { adapter, port: 0, workers: NonZeroUsize::MIN, threads, alone };
    thread::spawn(move || match server {
        Server::Limit => limit::run(0, ready).unwrap(),
        Server::UnderTest(adapter, threads) => serve::run(&setup(adapter, threads, false), ready).unwrap(),
        Server::Alone(adapter) => serve::run(&setup(adapter, Threads::PerCore, true), ready).unwrap(),
    });
    receiver.recv().expect("the server listens")
}

fn assert_measured(outcome: &Outcome) {
    let Some(Percentiles { p50, p99, p999, .. }) = outcome.latency else { panic!("no latency: {outcome:?}") };
    assert!(0.0 < p50 && p50 <= p99 && p99 <= p999, "{outcome:?}");
    assert!(outcome.rate.is_some_and(|rate| rate > 0.0), "{outcome:?}");
    assert!(outcome.cpu_seconds_per_million.is_some(), "{outcome:?}");
}
