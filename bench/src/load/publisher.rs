//! One publisher's broadcasts in flight.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::net::ConnId;

/// Numbers its broadcasts from 1 and knows how many subscribers each has yet to reach.
pub(crate) struct Publisher {
    pub(crate) conn: ConnId,
    /// Every broadcast up to this number is complete or written off.
    complete: u64,
    flights: VecDeque<Flight>,
}

struct Flight {
    sent_at: Instant,
    missing: u32,
}

impl Publisher {
    pub(crate) fn new(conn: ConnId) -> Self {
        Self { conn, complete: 0, flights: VecDeque::new() }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    pub(crate) fn has_sent(&self, seq: u64) -> bool {
        (1..=self.last_seq()).contains(&seq)
    }

    /// Notes one more broadcast and gives its number.
    pub(crate) fn send(&mut self, subscribers: u32, now: Instant) -> u64 {
        self.flights.push_back(Flight { sent_at: now, missing: subscribers });
        self.last_seq()
    }

    /// Notes that a subscriber will wait no longer for these numbers, the last of which has reached it: gives
    /// the time that was sent, unless it was written off, and whether a broadcast is complete by this.
    pub(crate) fn deliver(&mut self, numbers: RangeInclusive<u64>) -> (Option<Instant>, bool) {
        let mut sent_at = None;
        for number in *numbers.start().max(&(self.complete + 1))..=*numbers.end() {
            let index = usize::try_from(number - self.complete - 1).expect("few are in flight");
            let flight = &mut self.flights[index];
            flight.missing -= 1;
            sent_at = Some(flight.sent_at);
        }
        (sent_at, self.retire(|flight| flight.missing == 0))
    }

    /// Gives up the oldest broadcasts that took longer than `limit`; whether there were any.
    pub(crate) fn write_off(&mut self, limit: Duration, now: Instant) -> bool {
        self.retire(|flight| now.saturating_duration_since(flight.sent_at) > limit)
    }

    fn last_seq(&self) -> u64 {
        self.complete + self.flights.len() as u64
    }

    fn retire(&mut self, is_over: impl Fn(&Flight) -> bool) -> bool {
        let before = self.complete;
        while self.flights.front().is_some_and(&is_over) {
            self.flights.pop_front();
            self.complete += 1;
        }
        self.complete > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_complete_when_everybody_has_it() {
        let start = Instant::now();
        let mut publisher = Publisher::new(ConnId(0));
        assert_eq!(publisher.send(2, start), 1);
        assert_eq!(publisher.deliver(1..=1), (Some(start), false));
        assert_eq!(publisher.in_flight(), 1);
        assert_eq!(publisher.deliver(1..=1), (Some(start), true));
        assert_eq!(publisher.in_flight(), 0);
        assert!(publisher.has_sent(1) && !publisher.has_sent(2) && !publisher.has_sent(0));
    }

    #[test]
    fn a_gap_is_passed_over() {
        let start = Instant::now();
        let mut publisher = Publisher::new(ConnId(0));
        publisher.send(1, start);
        publisher.send(1, start);
        assert_eq!(publisher.deliver(1..=2), (Some(start), true));
        assert_eq!(publisher.in_flight(), 0);
    }

    #[test]
    fn what_takes_too_long_is_written_off_and_may_still_come() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut publisher = Publisher::new(ConnId(0));
        publisher.send(1, start);
        assert!(!publisher.write_off(second, start + second));
        assert!(publisher.write_off(second, start + 2 * second));
        assert_eq!(publisher.send(1, start + 2 * second), 2);
        assert_eq!(publisher.deliver(1..=1), (None, false));
        assert_eq!(publisher.deliver(2..=2), (Some(start + 2 * second), true));
    }
}
