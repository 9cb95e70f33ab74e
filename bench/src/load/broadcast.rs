//! Fan-out and rooms: every broadcast is counted at every subscriber.

use std::time::{Duration, Instant};

use super::join::{Start, join_all};
use super::measure::{Measured, measure};
use super::net::{ConnId, Driver, Net, Protocol, Script};
use super::outgoing::{JOIN_REF, Outgoing, Push};
use super::publisher::Publisher;
use super::tally::Tally;
use super::{LoadError, Mode, Outcome, Pid, Plan, Target};
use crate::wire::message::{self, Field, Message};

/// A broadcast that has not reached everybody after this no longer holds up its publisher.
const WRITE_OFF: Duration = Duration::from_secs(1);
const WRITE_OFF_EVERY: Duration = Duration::from_millis(20);

pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let net = Net::new(Protocol::WebSocket, target.address, &target.path)?;
    let mut driver = Driver::new(net, plan.busy);
    let mut broadcast = Broadcast::new(plan);
    let topics: Vec<_> =
        broadcast.room_of.iter().map(|room| vec![broadcast.rooms[*room].topic.clone()]).collect();
    join_all(&mut driver, &mut broadcast.outgoing, plan, Start::Connect, &topics)?;
    Ok(measure(&mut driver, &mut broadcast, plan, server)?)
}

struct Broadcast {
    rooms: Vec<Room>,
    /// The room of each connection.
    room_of: Vec<usize>,
    /// For each connection and each publisher of its room, the last number seen.
    seen: Vec<Vec<u64>>,
    in_flight: usize,
    /// Publishers that may send again: room and place in it.
    ready: Vec<(usize, usize)>,
    next_write_off: Option<Instant>,
    outgoing: Outgoing,
    seq: Field,
    from: Field,
    tally: Tally,
}

struct Room {
    topic: String,
    members: u32,
    publishers: Vec<Publisher>,
}

impl Broadcast {
    /// In rooms, everybody publishes; otherwise one more connection does.
    fn new(plan: &Plan) -> Self {
        let all_publish = plan.mode == Mode::Rooms;
        let connections = if all_publish { plan.clients } else { plan.clients + 1 };
        let room_of: Vec<_> = (0..connections).map(|conn| conn % plan.rooms).collect();
        let mut rooms: Vec<_> = (0..plan.rooms)
            .map(|room| Room { topic: format!("bench:room{room}"), members: 0, publishers: Vec::new() })
            .collect();
        for (conn, room) in room_of.iter().enumerate() {
            rooms[*room].members += 1;
            if all_publish || conn + 1 == connections {
                rooms[*room].publishers.push(Publisher::new(ConnId(conn)));
            }
        }
        let ready = (0..rooms.len())
            .flat_map(|room| (0..rooms[room].publishers.len()).map(move |place| (room, place)))
            .collect();
        Self {
            seen: room_of.iter().map(|room| vec![0; rooms[*room].publishers.len()]).collect(),
            rooms,
            room_of,
            in_flight: plan.in_flight,
            ready,
            next_write_off: None,
            outgoing: Outgoing::new(plan.size, plan.nested),
            seq: Field::new("\"seq\""),
            from: Field::new("\"from\""),
            tally: Tally::new(),
        }
    }

    fn fill(&mut self, net: &mut Net, (room, place): (usize, usize), now: Instant) {
        let Room { topic, members, publishers } = &mut self.rooms[room];
        let publisher = &mut publishers[place];
        while publisher.in_flight() < self.in_flight && self.tally.spend() {
            let seq = publisher.send(*members, now);
            self.tally.expected += u64::from(*members);
            let push = Push { reference: JOIN_REF + seq, topic, event: "bcast", from: place, seq };
            self.outgoing.push(net, publisher.conn, &push);
        }
    }

    /// Accounts for one delivery; `None` when it is no broadcast of this run.
    fn settle(&mut self, conn: ConnId, message: &Message<'_>, now: Instant) -> Option<()> {
        if message.event != b"msg" || message.join_ref != b"null" {
            return None;
        }
        let seq = self.seq.read(message.payload)?;
        let place = usize::try_from(self.from.read(message.payload)?).ok()?;
        let room = self.room_of[conn.0];
        let publisher = self.rooms[room].publishers.get_mut(place).filter(|sender| sender.has_sent(seq))?;
        let seen = &mut self.seen[conn.0][place];
        self.tally.received += 1;
        if seq <= *seen {
            self.tally.misordered += 1;
            return Some(());
        }
        // What was skipped will not come in order any more, so it does not hold up its publisher.
        let (sent_at, is_ready) = publisher.deliver(*seen + 1..=seq);
        *seen = seq;
        if is_ready {
            self.ready.push((room, place));
        }
        if let Some(sent_at) = sent_at {
            self.tally.done(sent_at, now);
        }
        Some(())
    }

    fn write_off(&mut self, now: Instant) {
        if self.next_write_off.is_some_and(|due| now < due) {
            return;
        }
        self.next_write_off = Some(now + WRITE_OFF_EVERY);
        for (number, room) in self.rooms.iter_mut().enumerate() {
            for (place, publisher) in room.publishers.iter_mut().enumerate() {
                if publisher.write_off(WRITE_OFF, now) {
                    self.ready.push((number, place));
                }
            }
        }
    }
}

impl Script for Broadcast {
    fn received(&mut self, _net: &mut Net, conn: ConnId, text: &[u8], now: Instant) {
        if message::parse(text).and_then(|message| self.settle(conn, &message, now)).is_none() {
            self.tally.unexpected += 1;
        }
    }

    fn closed(&mut self, _conn: ConnId) {
        self.tally.disconnected += 1;
    }

    fn tick(&mut self, net: &mut Net, now: Instant) {
        self.write_off(now);
        if self.tally.budget > 0 {
            for publisher in std::mem::take(&mut self.ready) {
                self.fill(net, publisher, now);
            }
        }
    }
}

impl Measured for Broadcast {
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_in_order_is_clean() {
        let tally = after_deliveries(&[(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)]);
        assert_eq!((tally.done, tally.lost(), tally.misordered, tally.unexpected), (6, 0, 0, 0));
    }

    #[test]
    fn a_subscriber_that_misses_one_has_lost_it() {
        let tally = after_deliveries(&[(0, 1), (1, 1), (2, 1), (0, 2), (1, 2)]);
        assert_eq!((tally.lost(), tally.misordered, tally.unexpected), (1, 0, 0));
    }

    #[test]
    fn a_delivery_that_comes_late_is_misordered() {
        let tally = after_deliveries(&[(0, 2), (0, 1)]);
        assert_eq!((tally.received, tally.misordered, tally.unexpected), (2, 1, 0));
    }

    #[test]
    fn a_number_never_sent_is_unexpected() {
        let tally = after_deliveries(&[(0, 3), (0, 0)]);
        assert_eq!((tally.received, tally.unexpected), (0, 2));
    }

    #[test]
    fn a_broadcast_with_a_join_ref_is_unexpected() {
        let mut broadcast = two_sent();
        receive(&mut broadcast, 0, r#"["1",null,"bench:room0","msg",{"from":0,"seq":1}]"#);
        assert_eq!((broadcast.tally.received, broadcast.tally.unexpected), (0, 1));
    }

    /// Each delivery is a connection and a number.
    fn after_deliveries(deliveries: &[(usize, u64)]) -> Tally {
        let mut broadcast = two_sent();
        for (conn, seq) in deliveries {
            let text = format!(r#"[null,null,"bench:room0","msg",{{"from":0,"seq":{seq}}}]"#);
            receive(&mut broadcast, *conn, &text);
        }
        broadcast.tally
    }

    /// Two subscribers and a publisher that has sent the numbers 1 and 2.
    fn two_sent() -> Broadcast {
        let mut plan = Plan::preset(Mode::Fanout8);
        plan.clients = 2;
        let mut broadcast = Broadcast::new(&plan);
        for _ in 0..2 {
            broadcast.rooms[0].publishers[0].send(3, Instant::now());
        }
        broadcast.tally.expected = 6;
        broadcast
    }

    fn receive(broadcast: &mut Broadcast, conn: usize, text: &str) {
        let mut net = Net::new(Protocol::WebSocket, ([127, 0, 0, 1], 1).into(), "/").unwrap();
        broadcast.received(&mut net, ConnId(conn), text.as_bytes(), Instant::now());
    }
}
