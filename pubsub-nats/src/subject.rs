use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use phoenix_server::Route;
use sha2::{Digest, Sha256};

/// The subjects of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    prefix: String,
}

/// What means something in a subject, or cannot be in one; beyond ASCII nothing can.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'*').add(b'.').add(b'>');

/// Clients choose the names of topics, and a server ends connections that send it lines of more than 4096 bytes: longer
/// names are hashed. Those of nodes as well, whoever chose them.
const MAX_NAME: usize = 512;

/// Longer prefixes leave no room for the names.
const MAX_PREFIX: usize = 512;

impl Default for Subjects {
    fn default() -> Self {
        Self { prefix: "phx".to_owned() }
    }
}

impl Subjects {
    /// `None` if it can be no prefix.
    pub(crate) fn new(prefix: &str) -> Option<Self> {
        let plain = |token: &str| !token.is_empty() && token.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
        let valid =
            prefix.len() <= MAX_PREFIX && prefix.split('.').all(plain) && !prefix.contains(['*', '>']);
        valid.then(|| Self { prefix: prefix.to_owned() })
    }

    pub(crate) fn of(&self, route: &Route) -> String {
        match route {
            Route::Topic(topic) => self.subject('t', topic),
            Route::Node(node) => self.subject('n', node.as_str()),
        }
    }

    pub(crate) fn of_topic(&self, topic: &str) -> String {
        self.subject('t', topic)
    }

    /// Where the answers of the server to this engine's questions go.
    pub(crate) fn inbox(&self) -> String {
        format!("{}.inbox", self.prefix)
    }

    /// What nobody subscribes to.
    pub(crate) fn nobody(&self) -> String {
        format!("{}.nobody", self.prefix)
    }

    fn subject(&self, kind: char, name: &str) -> String {
        let mut subject = String::with_capacity(self.prefix.len() + 3 + name.len());
        let start = self.prefix.len() + 3;
        // Writing to a string cannot fail.
        let _ = write!(subject, "{}.{kind}:{}", self.prefix, utf8_percent_encode(name, ESCAPED));
        if subject.len() - start > MAX_NAME {
            subject.truncate(start);
            // No escape begins like this.
            subject.push_str("%sha256:");
            for byte in Sha256::digest(name) {
                let _ = write!(subject, "{byte:02x}");
            }
        }
        subject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> String {
        Subjects::new("phx").unwrap().of_topic(name)
    }

    #[test]
    fn a_topic_is_one_token_whatever_is_in_it() {
        assert_eq!(topic("room:lobby"), "phx.t:room:lobby");
        assert_eq!(topic(""), "phx.t:");
        assert_eq!(topic("a.b c*>%é\r\n"), "phx.t:a%2Eb%20c%2A%3E%25%C3%A9%0D%0A");
        assert_eq!(Subjects::new("a.b").unwrap().of(&Route::Node("n.1".into())), "a.b.n:n%2E1");
    }

    #[test]
    fn long_names_are_hashed_and_differ() {
        let (a, b) = (topic(&"a".repeat(513)), topic(&"a".repeat(514)));
        assert!(a.len() < 100 && b.len() < 100 && a != b, "{a} {b}");
        assert_eq!(topic(&"a".repeat(512)).len(), 512 + "phx.t:".len());
        assert!(topic(&"\0".repeat(200)).starts_with("phx.t:%sha256:"));
    }

    #[test]
    fn prefixes_are_whole_tokens() {
        for prefix in ["", ".", "a.", "a..b", "a b", "a.*", ">", "é", &"a".repeat(513)] {
            assert!(Subjects::new(prefix).is_none(), "{prefix}");
        }
        assert!(Subjects::new("app.prod-1").is_some());
    }
}
