//! From rounds to medians.

use super::round::Round;
use super::server::LIMIT;
use crate::load::{Mode, Outcome};

/// What the rounds of one mode say about one server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) mode: Mode,
    pub(super) server: String,
    /// Ratios to the limit, in the order of [`RATIOS`].
    pub(super) ratios: [Option<Spread>; RATIOS.len()],
    /// KiB, in the order of [`MEMORY`].
    pub(super) memory: [Option<Spread>; MEMORY.len()],
    pub(super) faults: Faults,
    /// The most CPU others used in a round, the limit's measurement included: cores.
    pub(super) foreign_cpu: Option<f64>,
}

/// Median, lowest and highest of the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

/// Everything that went wrong, over all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) lost: u64,
    pub(super) misordered: u64,
    pub(super) unexpected: u64,
    pub(super) disconnected: u64,
}

pub(super) const RATIOS: [&str; 5] = ["CPU per message", "messages/s", "p50", "p99", "p99.9"];
pub(super) const MEMORY: [&str; 4] =
    ["KiB per connection", "KiB per further topic", "session alone", "HTTP connection alone"];

/// One row for each mode and server, the limit first in each mode.
pub(super) fn rows(rounds: &[Round]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for same_mode in rounds.chunk_by(|one, other| one.mode == other.mode) {
        let pairs = same_mode.iter().map(|round| (&round.limit, &round.limit)).collect::<Vec<_>>();
        rows.push(Row::new(LIMIT, &pairs));
        for (place, (server, _)) in same_mode[0].contenders.iter().enumerate() {
            let pairs: Vec<_> =
                same_mode.iter().map(|round| (&round.contenders[place].1, &round.limit)).collect();
            rows.push(Row::new(server, &pairs));
        }
    }
    rows
}

impl Row {
    pub(super) fn is_limit(&self) -> bool {
        self.server == LIMIT
    }

    /// Each pair is an outcome and the limit's of the same round.
    fn new(server: &str, pairs: &[(&Outcome, &Outcome)]) -> Self {
        let mut faults = Faults::default();
        for (outcome, _) in pairs {
            faults.lost += outcome.lost;
            faults.misordered += outcome.misordered;
            faults.unexpected += outcome.unexpected;
            faults.disconnected += outcome.disconnected;
        }
        let ratio = |figure: usize| {
            let of_pair = |(outcome, limit): &(&Outcome, &Outcome)| {
                let base = timings(limit)[figure].filter(|base| *base > 0.0)?;
                Some(timings(outcome)[figure]? / base)
            };
            Spread::of(pairs.iter().filter_map(of_pair).collect())
        };
        let kib = |figure: usize| {
            let of_pair = |(outcome, _): &(&Outcome, &Outcome)| memory(outcome)[figure];
            Spread::of(pairs.iter().filter_map(of_pair).collect())
        };
        Self {
            mode: pairs[0].0.mode,
            server: server.to_owned(),
            ratios: std::array::from_fn(ratio),
            memory: std::array::from_fn(kib),
            faults,
            foreign_cpu: pairs
                .iter()
                .flat_map(|(outcome, limit)| [outcome.foreign_cpu, limit.foreign_cpu])
                .flatten()
                .max_by(f64::total_cmp),
        }
    }
}

impl Spread {
    /// `None` of nothing. The median of an even number is the mean of the two in the middle.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = f64::midpoint(values[middle], values[(values.len() - 1) / 2]);
        Some(Self { median, lowest, highest })
    }
}

/// In the order of [`RATIOS`].
fn timings(outcome: &Outcome) -> [Option<f64>; RATIOS.len()] {
    let latency = outcome.latency;
    [
        outcome.cpu_seconds_per_million,
        outcome.rate,
        latency.map(|latency| latency.p50),
        latency.map(|latency| latency.p99),
        latency.map(|latency| latency.p999),
    ]
}

/// In the order of [`MEMORY`].
fn memory(outcome: &Outcome) -> [Option<f64>; MEMORY.len()] {
    [outcome.kib_per_connection, outcome.kib_per_topic, outcome.kib_per_session, outcome.kib_per_http]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |median, lowest, highest| Some(Spread { median, lowest, highest });
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), spread(2.5, 1.0, 4.0));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let rounds: Vec<_> = [(10.0, 20.0), (40.0, 40.0), (1.0, 3.0)]
            .into_iter()
            .map(|(limit, other)| Round {
                mode: Mode::Echo,
                limit: outcome(limit, 0),
                contenders: vec![("other".to_owned(), outcome(other, 2))],
            })
            .collect();
        let rows = rows(&rounds);
        assert_eq!(rows.len(), 2);
        assert!(rows[0].is_limit() && !rows[1].is_limit());
        assert_eq!(rows[0].ratios[0], Some(Spread { median: 1.0, lowest: 1.0, highest: 1.0 }));
        assert_eq!(rows[1].ratios[0], Some(Spread { median: 2.0, lowest: 1.0, highest: 3.0 }));
        assert_eq!(rows[1].ratios[1], None, "a figure nobody has");
        assert_eq!(rows[1].memory[0], Some(Spread { median: 20.0, lowest: 3.0, highest: 40.0 }));
        assert_eq!(rows[1].foreign_cpu, Some(0.4));
        assert_eq!(rows[1].faults, Faults { lost: 6, ..Faults::default() });
    }

    fn outcome(figure: f64, lost: u64) -> Outcome {
        let mut outcome = Outcome::new(Mode::Echo);
        outcome.cpu_seconds_per_million = Some(figure);
        outcome.kib_per_connection = Some(figure);
        outcome.foreign_cpu = Some(figure / 100.0);
        outcome.lost = lost;
        outcome
    }
}
