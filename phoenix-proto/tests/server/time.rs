//! The idle timer of protocol §8.1.

use std::time::Duration;

use phoenix_proto::server::Timer;

use crate::bench::Bench;

#[test]
fn silence_closes_the_connection() {
    let mut bench = Bench::v2();
    assert_eq!(bench.timeout(), Some((60_000, Timer::Idle)));
    bench.wait(59_999);
    assert!(!bench.connection.is_closed());
    bench.wait(1);
    bench.commands(["close 1002"]);
    assert_eq!(bench.timeout(), None);
}

#[test]
fn received_bytes_start_the_time_again() {
    let mut bench = Bench::v2();
    bench.wait(40_000);
    bench.client_bytes();
    assert_eq!(bench.timeout(), Some((60_000, Timer::Idle)));
    bench.wait(59_999);
    assert!(!bench.connection.is_closed());
    bench.wait(1);
    bench.commands(["close 1002"]);
}

#[test]
fn what_the_server_sends_does_not() {
    let mut bench = Bench::joined();
    bench.wait(59_999);
    bench.push(1, "busy");
    bench.expect([r#"["1",null,"room:1","busy",{}]"#]);
    bench.wait(1);
    bench.commands(["close 1002"]);
}

#[test]
fn the_limit_can_be_set_and_switched_off() {
    let mut bench = Bench::with(|config| config.idle_timeout = Some(Duration::from_millis(1500)));
    assert_eq!(bench.timeout(), Some((1500, Timer::Idle)));
    bench.wait(1500);
    bench.commands(["close 1002"]);

    let mut bench = Bench::with(|config| config.idle_timeout = None);
    assert_eq!(bench.timeout(), None);
    bench.wait(86_400_000);
    assert!(!bench.connection.is_closed());
}

#[test]
fn silence_while_nothing_is_read_does_not_count() {
    let mut bench = Bench::with(|config| config.max_in_flight = 1).join_room();
    bench.client(r#"["1","2","room:1","slow",{}]"#);
    bench.commands([r#"message 1: "slow" "2" {}"#]);
    bench.wait(60_000);
    assert!(!bench.connection.is_closed());
    bench.credits.clear();
    bench.wait(59_999);
    assert!(!bench.connection.is_closed());
    bench.wait(1);
    bench.commands(["close 1002"]);
}

#[test]
fn calling_too_early_or_twice_is_harmless() {
    let mut bench = Bench::v2();
    for _ in 0..10 {
        bench.wait(0);
        bench.wait(1000);
    }
    assert_eq!(bench.timeout(), Some((50_000, Timer::Idle)));
    bench.wait(50_000);
    bench.wait(0);
    bench.wait(60_000);
    bench.commands(["close 1002"]);
}

#[test]
fn limits_beyond_all_clocks_are_none() {
    let mut bench = Bench::with(|config| {
        config.idle_timeout = Some(Duration::MAX);
        config.replace_timeout = Duration::MAX;
    })
    .join_room();
    bench.client(r#"["2","2","room:1","phx_join",{}]"#);
    bench.commands(["kill 1"]);
    assert_eq!(bench.timeout(), None);
    bench.wait(86_400_000);
    bench.commands([]);
    assert!(!bench.connection.is_closed());
}
