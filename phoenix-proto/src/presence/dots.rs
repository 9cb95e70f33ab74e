use std::collections::BTreeMap;

/// The dots of one replica that are known: all up to the context, and a cloud of spans beyond a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dots {
    context: u64,
    /// First to last dot of each span; spans neither touch each other nor the context.
    cloud: BTreeMap<u64, u64>,
}

impl Dots {
    /// The highest clock below which nothing is missing.
    pub(crate) fn context(&self) -> u64 {
        self.context
    }

    pub(crate) fn contains(&self, dot: u64) -> bool {
        dot <= self.context || self.cloud.range(..=dot).next_back().is_some_and(|(_, &last)| dot <= last)
    }

    /// Adds a single dot.
    pub(crate) fn cover_one(&mut self, dot: u64) {
        self.cover(dot.saturating_sub(1), dot);
    }

    /// Adds the dots after `start` up to and including `end`.
    pub(crate) fn cover(&mut self, start: u64, end: u64) {
        if end <= start || end <= self.context {
            return;
        }
        let (mut first, mut last) = (start + 1, end);
        while let Some((&from, &to)) = self.cloud.range(..=last.saturating_add(1)).next_back()
            && to.saturating_add(1) >= first
        {
            self.cloud.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        if first <= self.context.saturating_add(1) {
            self.context = last;
        } else {
            self.cloud.insert(first, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ts_11_contiguous_spans_move_from_the_cloud_into_the_context() {
        let mut dots = Dots::default();
        dots.cover(0, 2);
        dots.cover(3, 5);
        dots.cover(7, 8);
        assert_eq!(dots.context(), 2);
        assert!(dots.contains(5) && !dots.contains(3) && !dots.contains(6));
        dots.cover(2, 3);
        assert_eq!(dots.context(), 5);
        dots.cover(4, 7);
        assert_eq!(dots, Dots { context: 8, cloud: BTreeMap::new() });
    }

    #[test]
    fn the_largest_clocks_do_not_overflow() {
        let mut dots = Dots::default();
        dots.cover(u64::MAX - 1, u64::MAX);
        dots.cover(5, 5);
        dots.cover(u64::MAX, 0);
        assert!(dots.contains(u64::MAX) && !dots.contains(u64::MAX - 1));
        dots.cover(0, u64::MAX);
        assert_eq!(dots.context(), u64::MAX);
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(spans in prop::collection::vec((0u64..40, 0u64..8), 0..20)) {
            let mut dots = Dots::default();
            let mut model = BTreeSet::new();
            for (start, len) in spans {
                dots.cover(start, start + len);
                model.extend(start + 1..=start + len);
            }
            for dot in 1..60 {
                prop_assert_eq!(dots.contains(dot), model.contains(&dot), "{}", dot);
            }
            let context = (1..60).take_while(|dot| model.contains(dot)).last().unwrap_or(0);
            prop_assert_eq!(dots.context(), context);
            prop_assert!(dots.cloud.keys().all(|&first| first > context + 1));
        }
    }
}
