use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Which topics a channel serves: one literal topic, or every topic with a prefix (protocol §9.5).
///
/// `room:*` matches `room:` and anything longer; a bare `*` matches every topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: Box<str>,
    prefix: bool,
}

/// A pattern with a `*` anywhere but once at its end (FEATURES A48).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the topic pattern {0:?} may have one \"*\", and only at its end")]
pub struct PatternError(String);

impl TopicPattern {
    /// Whether a topic is served.
    pub fn matches(&self, topic: &str) -> bool {
        if self.prefix { topic.starts_with(&*self.text) } else { topic == &*self.text }
    }
}

impl FromStr for TopicPattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        let stem = pattern.strip_suffix('*');
        let text = stem.unwrap_or(pattern);
        if text.contains('*') {
            return Err(PatternError(pattern.to_owned()));
        }
        Ok(Self { text: text.into(), prefix: stem.is_some() })
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.prefix { "*" } else { "" })
    }
}

/// The place of a route in the order of declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteId(usize);

impl RouteId {
    /// The zero-based position.
    pub fn index(self) -> usize {
        self.0
    }
}

/// The topic patterns of a socket in order of declaration; the first match wins.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<TopicPattern>);

impl Routes {
    /// Adds a pattern behind the others.
    pub fn add(&mut self, pattern: TopicPattern) -> RouteId {
        self.0.push(pattern);
        RouteId(self.0.len() - 1)
    }

    /// The first route that serves a topic.
    pub fn find(&self, topic: &str) -> Option<RouteId> {
        self.0.iter().position(|pattern| pattern.matches(topic)).map(RouteId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> Routes {
        let mut routes = Routes::default();
        for pattern in patterns {
            routes.add(pattern.parse().unwrap());
        }
        routes
    }

    #[test]
    fn the_first_match_wins() {
        let routes = routes(&["food*", "foo*", "exact", "echo:*"]);
        let find = |topic| routes.find(topic).map(RouteId::index);
        assert_eq!(find("food:1"), Some(0));
        assert_eq!(find("foo:1"), Some(1));
        assert_eq!(find("foo"), Some(1));
        assert_eq!(find("exact"), Some(2));
        assert_eq!(find("exact:more"), None);
        assert_eq!(find("echo"), None);
        assert_eq!(find("echo:a:b*c"), Some(3));
    }

    #[test]
    fn a_bare_star_matches_everything() {
        assert!(routes(&["*"]).find("").is_some());
    }

    #[test]
    fn misplaced_stars_are_refused() {
        for pattern in ["a*b", "*a", "a**", "**"] {
            assert!(pattern.parse::<TopicPattern>().is_err(), "{pattern}");
        }
    }
}
