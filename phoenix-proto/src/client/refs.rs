//! The numbers by which replies find their requests.

use crate::Ref;

/// How references are numbered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefStyle {
    /// One after the other from `"1"`, without gaps.
    #[default]
    Dense,
    /// The very numbers of phoenix.js, whose counter also numbers its callbacks (protocol §19.11): every
    /// channel uses up two, every buffered push one, every ping one more, so that the first join is `"3"`.
    PhoenixJs {
        /// How many callbacks the application registers on the socket before its first channel.
        callbacks: u32,
    },
}

/// A reference made by this client.
pub(super) type Number = u64;

/// The counter of one socket; it goes on across reconnects.
#[derive(Debug)]
pub(super) struct Refs {
    last: Number,
    style: RefStyle,
}

impl Refs {
    pub(super) fn new(style: RefStyle) -> Self {
        let mut refs = Self { last: 0, style };
        if let RefStyle::PhoenixJs { callbacks } = style {
            refs.burn(callbacks);
        }
        refs
    }

    /// A new reference. Beyond 2⁵³, where JavaScript loses precision, it starts over like phoenix.js.
    pub(super) fn make(&mut self) -> Number {
        self.last = if self.last >= 1 << 53 { 0 } else { self.last + 1 };
        self.last
    }

    /// Uses up as many references as phoenix.js would for its callbacks.
    pub(super) fn burn(&mut self, count: u32) {
        if matches!(self.style, RefStyle::PhoenixJs { .. }) {
            for _ in 0..count {
                self.make();
            }
        }
    }
}

/// The reference as it stands on the wire: a string of decimal digits.
pub(super) fn wire(number: Number) -> Ref {
    Ref::string(&number.to_string())
}

/// The number of a reference that this client may have made.
pub(super) fn number(reference: &Ref) -> Option<Number> {
    let text = reference.to_text()?;
    let number: Number = text.parse().ok()?;
    // Only the canonical form was ever sent: not "+1", not "01".
    (number.to_string() == *text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strings_on_the_wire() {
        assert_eq!(wire(12).as_json(), "\"12\"");
        assert_eq!(number(&Ref::string("12")), Some(12));
        assert_eq!(number(&Ref::from(12)), Some(12));
        for foreign in ["", "01", "+1", "a", "-1", "99999999999999999999999"] {
            assert_eq!(number(&Ref::string(foreign)), None, "{foreign}");
        }
    }

    #[test]
    fn only_the_style_of_phoenix_js_has_gaps() {
        let mut refs = Refs::new(RefStyle::Dense);
        refs.burn(2);
        assert_eq!(refs.make(), 1);
        let mut refs = Refs::new(RefStyle::PhoenixJs { callbacks: 1 });
        refs.burn(2);
        assert_eq!(refs.make(), 4);
    }

    #[test]
    fn the_counter_starts_over_before_it_loses_precision() {
        let mut refs = Refs { last: (1 << 53) - 1, style: RefStyle::Dense };
        assert_eq!((refs.make(), refs.make(), refs.make()), (1 << 53, 0, 1));
    }
}
