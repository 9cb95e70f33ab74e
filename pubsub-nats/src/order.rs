use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;

/// A position in the publications of one engine. It travels as the reply subject of a message, which costs neither a
/// header nor a copy, and which no server looks at unless somebody subscribes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) publisher: u64,
    pub(crate) number: u64,
}

impl Position {
    /// `None` if it is something else, as in the messages of other programs.
    pub(crate) fn parse(reply: &str) -> Option<Self> {
        let (publisher, number) = reply.strip_prefix("phx.")?.split_once('.')?;
        let parse = |text| u64::from_str_radix(text, 16).ok();
        Some(Self { publisher: parse(publisher)?, number: parse(number)? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phx.{:x}.{:x}", self.publisher, self.number)
    }
}

/// A message as it was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) position: Option<Position>,
    pub(crate) message: Bytes,
}

/// Puts messages of many queues back into the order in which one writer filled them.
///
/// The client hands out each subscription's messages in a queue of its own, so that the order between topics is lost.
/// But whatever was queued before a message that was seen is seen by looking at all queues once more. So each round
/// takes two looks, and what only the second one saw waits for the next round unless something of the first look comes
/// after it.
#[derive(Debug, Default)]
pub(crate) struct Order {
    held: Vec<Received>,
}

impl Order {
    /// One round: `look` takes everything out of all queues. Empty if there is nothing.
    pub(crate) fn round(&mut self, mut look: impl FnMut(&mut Vec<Received>)) -> Vec<Received> {
        let mut round = std::mem::take(&mut self.held);
        look(&mut round);
        if round.is_empty() {
            return round;
        }
        let mut seen = HashMap::new();
        for position in round.iter().filter_map(|received| received.position) {
            let last = seen.entry(position.publisher).or_insert(position.number);
            *last = position.number.max(*last);
        }
        let first = round.len();
        look(&mut round);
        let comes_before = |received: &Received| match received.position {
            Some(Position { publisher, number }) => seen.get(&publisher).is_some_and(|last| number <= *last),
            None => true,
        };
        for received in round.split_off(first) {
            if comes_before(&received) { &mut round } else { &mut self.held }.push(received);
        }
        round.sort_by_key(|received| received.position);
        round
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn received(publisher: u64, number: u64) -> Received {
        Received { position: Some(Position { publisher, number }), message: Bytes::new() }
    }

    fn numbers(round: &[Received]) -> Vec<(u64, u64)> {
        round.iter().filter_map(|r| r.position).map(|p| (p.publisher, p.number)).collect()
    }

    #[test]
    fn positions_are_written_and_read() {
        let position = Position { publisher: 0xab, number: 31 };
        assert_eq!(position.to_string(), "phx.ab.1f");
        assert_eq!(Position::parse("phx.ab.1f"), Some(position));
        for other in ["", "_INBOX.a.b", "phx.a", "phx.x.1", "phx.1.2.3"] {
            assert_eq!(Position::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_only_the_second_look_sees_waits_unless_it_comes_before() {
        let mut order = Order::default();
        let mut looks = VecDeque::from([
            vec![received(1, 5), received(2, 1)],
            vec![received(1, 4), received(1, 6), received(3, 1)],
        ]);
        let mut look = |round: &mut Vec<Received>| round.extend(looks.pop_front().unwrap_or_default());
        assert_eq!(numbers(&order.round(&mut look)), [(1, 4), (1, 5), (2, 1)]);
        assert_eq!(numbers(&order.round(&mut look)), [(1, 6), (3, 1)]);
        assert!(order.round(&mut look).is_empty());
    }

    #[test]
    fn any_reader_sees_the_order_of_the_writer() {
        // The writer fills one of four queues after each that the reader looks at, so that looks are never consistent.
        let queue_of = |n: u64| usize::try_from(n * 7919 % 4).unwrap();
        for pace in 1..7 {
            let mut queues = vec![VecDeque::new(); 4];
            let (mut written, mut order, mut read) = (0, Order::default(), Vec::new());
            while read.len() < 200 {
                let round = order.round(|round| {
                    for queue in 0..queues.len() {
                        round.extend(queues[queue].drain(..).map(|n| received(1, n)));
                        for _ in 0..pace {
                            if written < 200 {
                                queues[queue_of(written)].push_back(written);
                                written += 1;
                            }
                        }
                    }
                });
                read.extend(numbers(&round).into_iter().map(|(_, number)| number));
            }
            assert_eq!(read, (0..200).collect::<Vec<_>>(), "{pace}");
        }
    }
}
